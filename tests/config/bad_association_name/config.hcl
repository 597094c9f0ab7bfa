attributes "destination" "k8s" {
  association {
    pod = { sources = [{ from = "destination.ip", name = "destination.port", to = ["status.podIP"] }] }
  }
}
