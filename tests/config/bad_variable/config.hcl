export "traces" {
  otlp {
    endpoint = "http://${host}:4317"
  }
}
