export "traces" {
  otlp = {
    max_queue_size = 100
  }
}
