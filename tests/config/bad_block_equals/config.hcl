api = {
  port 9090
}
