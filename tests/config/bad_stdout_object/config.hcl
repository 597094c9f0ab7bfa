export "traces" {
  stdout {
    format = "yaml"
  }
}
