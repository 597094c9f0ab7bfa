export "traces" {
  otlp {
    endpoint = "http://collector:4317"
    tls {
      ca_cert = "/etc/ca.pem"
    }
  }
}

internal "traces" {
  otlp {
    tls {
      client_cert = "/etc/cert.pem"
    }
  }
}
