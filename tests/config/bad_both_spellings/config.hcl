api {
  port = 8080
}

internal "server" {
  port = 8080
}
