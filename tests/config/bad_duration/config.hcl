span {
  tcp_timeout     = "5x"
  udp_timeout     = 5
  icmp_timeout    = "0s"
  generic_timeout = "30s1m"
  tcp_fin_timeout = "200h"
  tcp_rst_timeout = ["5s"]
}
