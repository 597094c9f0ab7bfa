export "traces" {
  stdout {
    format = "json_indent"
  }
}
