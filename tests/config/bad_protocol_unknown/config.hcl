export "traces" {
  otlp = {
    protocol = "gprc"
  }
}
