export "traces" {
  otlp {
    tls {
      ca_crt = "/etc/ca.pem"
    }
    auth = { basic = { usr = "me", user = "me", pass = env("TOKEN") } }
  }
}
