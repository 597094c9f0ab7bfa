import { bool, checkAddress, duration, group, inWords, list, map, number, port, text } from "../config/mod.ts";
import { HISTOGRAM_NAMES, histogramNamed } from "../metrics/histograms.ts";

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
  debug_metrics_enabled: bool(
    false,
    "Whether /metrics also has the metrics that have a series for each interface, and /metrics/debug has them alone.",
  ),
  stale_metric_ttl: duration("5m", "How long such series are shown after their interface is gone.", { min: "0s" }),
  histogram_buckets: map(
    list(number("One upper bound."), [], "Upper bounds, rising."),
    "Upper bounds of the buckets of a histogram, by its name, with or without mermin_ and _seconds.",
    (name) => histogramNamed(name) === undefined ? `no histogram; there are ${inWords(HISTOGRAM_NAMES)}` : undefined,
  ),
}, {
  check({ histogramBuckets }, complain) {
    for (const [name, bounds] of Object.entries(histogramBuckets)) {
      const isRising = bounds.length > 0 && bounds.every((bound, i) => i === 0 || bound > bounds[i - 1]);
      if (!isRising) complain(["histogram_buckets"], `the upper bounds of ${name} must rise, and there must be one`);
    }
    const named = Object.keys(histogramBuckets).map(histogramNamed);
    const twice = named.find((name, i) => named.indexOf(name) !== i);
    if (twice) complain(["histogram_buckets"], `${twice} is given twice, in two spellings`);
  },
});
