span {
  tcp_timeout = "0s"
}
