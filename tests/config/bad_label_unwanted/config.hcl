api "health" {
  port = 8080
}
