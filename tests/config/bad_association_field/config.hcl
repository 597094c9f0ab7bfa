attributes "source" "k8s" {
  association {
    pod  = { sources = [{ from = "source.address", to = ["status.podIP"] }] }
    node = { sources = [{ from = "flow", name = "port", to = ["spec.port"] }] }
  }
}
