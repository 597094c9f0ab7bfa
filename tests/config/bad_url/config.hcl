export "traces" {
  otlp {
    endpoint = "http://collector:4318/v1/traces?token=do-not-show-me"
  }
}
