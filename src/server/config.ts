import { bool, checkAddress, duration, group, later, list, map, number, port, text } from "../config/mod.ts";

const ADDRESS = { what: "an IP address", check: checkAddress };

/** `api`, or `internal "server"`: the health of the agent over HTTP. */
export const apiSettings = group("The server for /livez, /readyz and /startup.", {
  enabled: bool(true, "Whether this server runs."),
  listen_address: text("0.0.0.0", "IP address that it listens on.", ADDRESS),
  port: port(8080, "Port that it listens on."),
});

/** `metrics`, or `internal "metrics"`: the agent's own figures for Prometheus. */
export const metricsSettings = group("The server for /metrics.", {
  enabled: bool(true, "Whether this server runs."),
  listen_address: text("0.0.0.0", "IP address that it listens on.", ADDRESS),
  port: port(10250, "Port that it listens on; with the host's network this one is the kubelet's: choose another."),
  debug_metrics_enabled: later(
    "the page of debug metrics",
    bool(false, "Whether there are metrics for each interface and kind of object."),
  ),
  stale_metric_ttl: later(
    "dropping of stale metrics",
    duration("5m", "Time after which the metrics of what is gone are dropped."),
  ),
  histogram_buckets: later(
    "choosing the buckets of histograms",
    map(
      list(number("One upper bound."), [], "Upper bounds."),
      "Upper bounds of the buckets, by the name of the histogram.",
    ),
  ),
});
