discovery "instrument" {
  interfaces = ["/eth(/", "/eth", "//"]
}
attributes "source" "k8s" {
  extract {
    label {
      key_regex = "[a"
    }
  }
}
