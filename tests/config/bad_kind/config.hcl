discovery "informer" "k8s" {
  selectors       = [{ kind = "Pood" }, { kind = "Secret" }, {}]
  owner_relations { exclude_kinds = ["replicasets"] }
}
