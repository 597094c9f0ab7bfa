export "traces" {
  otlp {
    protocol = "http_binary"
    endpoint = "http://collector:6000/v1/traces"
  }
}
