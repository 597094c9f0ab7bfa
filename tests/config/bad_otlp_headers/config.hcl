export "traces" {
  otlp {
    protocol = "http_json"
    headers = {
      Content-Encoding = "br"
      host             = env("TOKEN")
      X-Tenant         = "→"
    }
  }
}
