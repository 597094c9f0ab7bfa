metrics {
  histogram_buckets = {
    pipeline_duration                = [1, 1]
    mermin_pipeline_duration_seconds = [1, 2]
    export_batch_size                = []
  }
}
