import type { MetricsContentType } from "./format.ts";
import { Counter, Gauge, Registry } from "./prom_client.ts";
import { type MetricName, METRICS, type MetricSources, type MetricSpec } from "./table.ts";

type Labels = Record<string, string>;

/**
 * The page of all metrics that have a source.
 *
 * Everything is made anew for each scrape: no value is kept twice, a series ends with the interface that it was about,
 * and two scrapes at a time in two formats do not meet (prom-client renames its counters for OpenMetrics in place).
 *
 * @param onError called for a source that fails; its metric is left out, the others are not.
 */
export async function renderMetrics(
  sources: MetricSources,
  contentType: MetricsContentType,
  onError: (name: MetricName, error: unknown) => void,
): Promise<string> {
  const registry: Registry = new Registry<MetricsContentType>();
  registry.setContentType(contentType);
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const source = sources[name] as ((emit: (value: number, labels?: Labels) => void) => void) | undefined;
    if (source === undefined) continue;
    try {
      const add = adder(name, METRICS[name], registry);
      source((value, labels = {}) => add(labels, value));
    } catch (error) {
      registry.removeSingleMetric(name);
      onError(name, error);
    }
  }
  return await registry.metrics();
}

function adder(
  name: string,
  spec: MetricSpec,
  registry: Registry,
): (labels: Labels, value: number) => void {
  const options = { name, help: spec.help, labelNames: Object.keys(spec.labels), registers: [registry as never] };
  if (spec.type === "gauge") {
    const gauge = new Gauge(options);
    return (labels, value) => gauge.set(labels, value);
  }
  const counter = new Counter(options);
  return (labels, value) => counter.inc(labels, value);
}
