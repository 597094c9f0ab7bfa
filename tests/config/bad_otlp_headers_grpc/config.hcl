export "traces" {
  otlp {
    headers = {
      X-Tenant     = "a"
      x-tenant     = "b"
      grpc-timeout = "1S"
      trace-bin    = "x"
      "x!y"        = "x"
      x-city       = "Zürich"
    }
  }
}
