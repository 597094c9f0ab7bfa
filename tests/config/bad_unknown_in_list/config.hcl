discovery "informer" "k8s" {
  selectors = [
    { kind = "Pod" },
    { kind = "Node", namespace = ["a"] },
  ]
}
