export {
  otlp {
    endpoint = "http://localhost:4317"
  }
}
