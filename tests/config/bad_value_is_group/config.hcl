log_level = { level = "info" }
span {
  tcp_timeout { value = "20s" }
}
