internal "servers" {}
internal "metrics" {
  listen_address = "localhost"
}
internal "traces" {
  otlp { endpoint = "ftp://collector" }
}
