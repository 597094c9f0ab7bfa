filter "source" {
  address = { match = ["fe80::1%eth0"] }
}
filter "network" {
  transport      = { match = ["tpc", "nothing"] }
  type           = { not_match = ["ipv5", "ethernet"] }
  interface_name = { match = ["", "/eth0/"] }
  interface_mac  = { match = ["02:42", "eth*"] }
}
filter "flow" {
  connection_state = { match = ["estabished", "open", "*_sending"] }
  tcp_flags_tags   = { match = ["SYM"] }
  ip_dscp_name     = { match = ["af44", "AF5?"] }
  ip_ecn_name      = { match = ["ect2"] }
  icmp_type_name   = { match = ["echo_replay"] }
  icmp_code_name   = { match = ["port_unreachible"] }
}
