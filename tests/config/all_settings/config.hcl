# Every setting; where another value can be honoured already, not with its default.
log_level        = "WARN"
log_format       = "json"
auto_reload      = true
on_exit          = "keep"
shutdown_timeout = "1m30s"

discovery "instrument" {
  interfaces               = ["eth0", "en?*", "/^wl[0-9]+$/"]
  auto_discover_interfaces = false
  tc_priority              = 50
  tcx_order                = "last"
  network_namespace        = "/run/netns/blue"
}

discovery "informer" "k8s" {
  kubeconfig_path        = "/etc/kubeconfig"
  informers_sync_timeout = "1m"
  selectors = [
    { kind = "pod", namespaces = ["a", "b"], include = false, match_labels = { "app.kubernetes.io/name" = "x" } },
    { kind = "NODE", match_expressions = [{ key = "tier", operator = "notin", values = ["db"] }] },
  ]
  owner_relations {
    max_depth     = 3
    include_kinds = ["deployment"]
    exclude_kinds = ["ReplicaSet"]
  }
  selector_relations = [
    { kind = "Service", to = "Pod", selector_match_labels_field = "spec.selector" },
  ]
}

attributes "source" "k8s" {
  extract {
    metadata = ["pod.metadata.uid"]
    label {
      from      = "pod"
      key       = "app"
      attribute = "app.name"
    }
    label {
      from            = "pod"
      key_regex       = "^team/(.*)$"
      value_regex     = "(.*)"
      attribute       = "team.$1"
      attribute_value = "$1"
    }
    annotation {
      key = "owner"
    }
  }
  association {
    pod  = { sources = [{ from = "source.ip", to = ["status.podIP"] }] }
    node = { sources = [{ from = "flow", name = "source.ip", to = ["status.addresses[*].address"] }] }
  }
}

filter "source" {
  address = { match = ["10.0.0.0/8", "fd00::/8"], not_match = ["10.0.0.1"] }
  port    = { match = ["443", "8000-9000"] }
}
filter "destination" {
  port {
    not_match = ["53"]
  }
}
filter "network" {
  transport       = { match = ["tcp"] }
  type            = { match = ["ipv4"] }
  interface_name  = { not_match = ["lo*"] }
  interface_index = { match = ["1-100"] }
  interface_mac   = { match = ["02:*"] }
}
filter "flow" {
  connection_state = { match = ["established"] }
  tcp_flags_tags   = { match = ["SYN"] }
  ip_dscp_name     = { match = ["ef"] }
  ip_ecn_name      = { match = ["ce"] }
  ip_ttl           = { match = ["1-64"] }
  ip_flow_label    = { match = ["0"] }
  icmp_type_name   = { match = ["echo*"] }
  icmp_code_name   = { match = ["*"] }
}

parser {
  vxlan_port     = 8472
  geneve_port    = 6082
  wireguard_port = 51821
  key_scope      = "vni"
}

pipeline {
  flow_capture {
    flow_stats_capacity  = 200000
    flow_events_capacity = 2048
  }
  flow_producer {
    flow_store_poll_interval = "1s"
    flow_span_queue_capacity = 1024
    workers                  = 4
    worker_queue_capacity    = 4096
  }
  k8s_decorator {
    decorated_span_queue_capacity = 1024
  }
}

span {
  max_record_interval = "2m"
  generic_timeout     = "1s"
  icmp_timeout        = "1s"
  tcp_timeout         = "1s"
  tcp_fin_timeout     = "1s"
  tcp_rst_timeout     = "1s"
  udp_timeout         = "300ms"
  community_id_seed   = 65535
  trace_id_timeout    = "48h"
}

export "traces" {
  stdout = { format = "text" }
  otlp {
    endpoint               = "https://collector.example:4318"
    protocol               = "http/protobuf"
    timeout                = "5s"
    max_export_timeout     = "20s"
    max_batch_size         = 100
    max_batch_interval     = "1s"
    max_queue_size         = 1000
    max_concurrent_exports = 2
    headers                = { "x-tenant" = "blue" }
    auth {
      basic {
        user = "me"
        pass = env("TOKEN")
      }
    }
    compression = "gzip"
    tls {
      insecure_skip_verify = true
      ca_cert              = "/etc/ca.pem"
      client_cert          = "/etc/cert.pem"
      client_key           = "/etc/key.pem"
    }
  }
}

api {
  enabled        = false
  listen_address = "127.0.0.1"
  port           = 9080
}

internal "metrics" {
  enabled               = true
  listen_address        = "::1"
  port                  = 9250
  debug_metrics_enabled = true
  stale_metric_ttl      = "1m"
  histogram_buckets     = { pipeline_duration_seconds = [0.1, 1, 10] }
}

internal "traces" {
  span_format = "compact"
  stdout      = "text"
  otlp {
    endpoint = "http://localhost:4317"
  }
}
