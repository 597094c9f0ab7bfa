export "traces" {
  otlp = {
    endpoint = "localhost:4317"
  }
}
