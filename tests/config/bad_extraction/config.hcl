attributes "source" "k8s" {
  extract {
    label {
      key       = "app"
      key_regex = "app.*"
    }
    annotation { from = "pod" }
  }
}
