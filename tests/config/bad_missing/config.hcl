discovery "informer" "k8s" {
  selector_relations = [{ kind = "Service" }]
}
export "traces" {
  otlp {
    auth {
      basic { user = "me" }
    }
  }
}
