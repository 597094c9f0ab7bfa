span {
  tcp_timeout "5s"
}
