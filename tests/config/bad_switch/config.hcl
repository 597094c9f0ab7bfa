auto_reload = "yes"
api {
  enabled = 1
}
metrics {
  enabled = "true"
}
