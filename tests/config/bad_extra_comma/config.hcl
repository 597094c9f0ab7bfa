discovery "instrument" {
  interfaces = ["eth0",, "eth1"]
}
