log_levl = "info"
span {
  tcp_timeout = "20"
}
api {
  port = 0
}
export "traces" {
  otlp {
    endpoint = "localhost:4317"
  }
}
