discovery "instrument" {
  interfaces = ["/eth\d/"]
}
