export "traces" {
  stdout = "jsn"
}
