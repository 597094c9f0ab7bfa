api {
  port = env("API_PORT") ? 1 : 2
}
