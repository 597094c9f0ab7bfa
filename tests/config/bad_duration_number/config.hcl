span {
  tcp_timeout = 20
  udp_timeout = "60"
  max_record_interval = "1 m"
}
