auto_reload = "true"

api {
  port    = "8080"
  enabled = "yes"
}
