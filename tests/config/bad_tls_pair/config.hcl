export "traces" {
  otlp {
    tls { client_cert = "/etc/cert.pem" }
  }
}
