export "trace" {
  otlp {}
}
discovery "instruments" {}
discovery "informer" "kubernetes" {}
