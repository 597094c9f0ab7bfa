span {
  tcp_timeout = "5s"
  tcp_timeout = "6s"
}
