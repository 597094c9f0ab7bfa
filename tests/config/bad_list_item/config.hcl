discovery "instrument" {
  interfaces = ["eth0", 1, ["eth1"], { name = "eth2" }]
}
