log_level = info

discovery "instrument" {
  interfaces = [eth0, "eth1"]
}
