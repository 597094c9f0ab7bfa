log_levle = "info"
tcp_timeout = "5s"

span {
  tcp_timout = "5s"
}

export "traces" {
  otlp = {
    endpiont = "http://localhost:4317"
    batch    = 5
  }
}
