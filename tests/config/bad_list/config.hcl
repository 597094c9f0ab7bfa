discovery "instrument" {
  interfaces = "eth0"
}
