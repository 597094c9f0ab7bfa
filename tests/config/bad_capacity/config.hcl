pipeline {
  flow_capture {
    flow_stats_capacity  = 0
    flow_events_capacity = 99999999
  }
}
