import type { MetricsContentType } from "./format.ts";
import type { Histogram } from "./histogram.ts";
import { Counter, Gauge, Registry } from "./prom_client.ts";
import {
  categoryOf,
  type MetricCategory,
  type MetricName,
  METRICS,
  type MetricSources,
  type MetricSpec,
} from "./table.ts";

type Labels = Record<string, string>;

/**
 * The page of all metrics of these categories that have a source.
 *
 * Everything is made anew for each scrape: no value is kept twice, a series ends with the interface that it was about,
 * and two scrapes at a time in two formats do not meet (prom-client renames its counters for OpenMetrics in place).
 *
 * @param onError called for a source that fails; its metric is left out, the others are not.
 */
export async function renderMetrics(
  sources: MetricSources,
  contentType: MetricsContentType,
  categories: readonly MetricCategory[],
  onError: (name: MetricName, error: unknown) => void,
): Promise<string> {
  const registry: Registry = new Registry<MetricsContentType>();
  registry.setContentType(contentType);
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const source = sources[name] as ((emit: (value: number | Histogram, labels?: Labels) => void) => void) | undefined;
    if (source === undefined || !categories.includes(categoryOf(name))) continue;
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
): (labels: Labels, value: number | Histogram) => void {
  const options = { name, help: spec.help, labelNames: Object.keys(spec.labels), registers: [registry as never] };
  switch (spec.type) {
    case "gauge": {
      const gauge = new Gauge(options);
      return (labels, value) => gauge.set(labels, value as number);
    }
    case "counter": {
      const counter = new Counter(options);
      return (labels, value) => counter.inc(labels, value as number);
    }
    case "histogram": {
      const samples: Sample[] = [];
      // prom-client's own histogram takes single values, and ours are counted already.
      registry.registerMetric(
        { ...options, type: "histogram", get: () => ({ ...options, type: "histogram", values: samples }) } as never,
      );
      return (labels, value) => samples.push(...histogramSamples(name, labels, value as Histogram));
    }
  }
}

interface Sample {
  metricName: string;
  labels: Labels;
  value: number;
}

/** The lines of one histogram: buckets that hold all smaller ones, sum and count. */
function histogramSamples(name: string, labels: Labels, { bounds, counts, sum }: Histogram): Sample[] {
  let count = 0;
  const buckets = counts.map((inBucket, i) => {
    count += inBucket;
    const le = i < bounds.length ? String(bounds[i]) : "+Inf";
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  return [...buckets, { metricName: `${name}_sum`, labels, value: sum }, {
    metricName: `${name}_count`,
    labels,
    value: count,
  }];
}
