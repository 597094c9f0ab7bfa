export "traces" {
  otlp {
    headers = { (env("NONE", "a")) = "1", a = "2" }
  }
}
