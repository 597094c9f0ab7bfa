discovery "informer" "k8s" {
  selectors = [{ kind = "Pdo" }, {}, "Pod"]
  owner_relations = { max_depth = 101 }
}

attributes "source" "k8s" {
  association {
    pod = { sources = [{ from = "sourc.ip", to = ["status.podIP"] }] }
    pods = {}
  }
  extract {
    label {
      attribute = "x"
    }
  }
}
