span {
  tcp_timeout = "5s"
}

span {
  udp_timeout = "5s"
}

export "traces" {
  stdout = "text"
}
export "traces" {
  otlp = {}
}
