export "traces" {
  stdout = "json"
}
