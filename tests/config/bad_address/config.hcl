api {
  listen_address = "localhost"
}

metrics {
  listen_address = "0.0.0.0:10250"
}
