export "traces" {
  otlp = {
    protocol = "http_json"
  }
}
