export "traces" {
  otlp {
    max_batch_size         = 1.5
    max_queue_size         = -1
    max_concurrent_exports = 1e3
  }
}
