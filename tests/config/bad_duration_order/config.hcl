span {
  tcp_timeout = "30s1m"
}
