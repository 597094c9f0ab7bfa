api {
  port = 8000 + 80
}
