export "traces" {
  otlp {
    headers = ["x-tenant=blue"]
  }
}
