api {
  port = 10250
}
