parser {
  vxlan_port     = 0
  geneve_port    = 65536
  wireguard_port = 1.5
}

span {
  community_id_seed = 65536
}
