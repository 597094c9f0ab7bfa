discovery "instrument" {
  network_namespace = "blue"
}
