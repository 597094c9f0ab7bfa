internal "metrics" {
  stale_metric_ttl = "-1s"
  histogram_buckets = {
    pipeline_duration_seconds = [1, "2"]
    export_batch              = [1, 2]
  }
}
