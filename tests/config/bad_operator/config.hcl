discovery "informer" "k8s" {
  selectors = [{ kind = "Pod", match_expressions = [{ key = "a", operator = "Is" }, { operator = "In" }] }]
}
