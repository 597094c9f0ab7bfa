discovery "instrument" {
  interfaces = ["", "eth 0", "net/eth0"]
}
