filter "destination" {
  port = { match = ["443-80", "0-70000", "http"] }
}
filter "flow" {
  ip_ttl = { not_match = ["256"] }
}
