export "traces" {
  otlp {}
}
export "traces" {
  otlp {}
}
