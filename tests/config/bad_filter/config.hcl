filter "source" {
  address = { match = ["10.0.0.0/33", "host"] }
  port    = { match = [443], not_match = ["80-70"] }
}
filter "flow" {
  ip_ttl = { match = ["256"] }
}
