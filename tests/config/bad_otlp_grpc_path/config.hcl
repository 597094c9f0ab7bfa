export "traces" {
  otlp {
    endpoint = "http://collector:4317/v1/traces"
  }
}
