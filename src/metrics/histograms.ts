/** The histograms that the agent fills while it runs. */

import { Histogram } from "./histogram.ts";
import { type MetricName, METRICS, type MetricSources, type MetricSpec } from "./table.ts";

/** Names of the metrics that are histograms. */
export const HISTOGRAM_NAMES: readonly MetricName[] = (Object.keys(METRICS) as MetricName[])
  .filter((name) => METRICS[name].type === "histogram");

/** One of each; they outlive a reload. */
export interface Histograms {
  /** Seconds from the sweep of the kernel's table to the last span handed on. */
  readonly flowProducerOut: Histogram;
  /** Seconds that the cluster's attributes of one span took. */
  readonly decoratorOut: Histogram;
  /** Seconds from the first request of a batch to the last answer. */
  readonly exportOut: Histogram;
  /** Spans per batch. */
  readonly batchSize: Histogram;
  /** Seconds that a change of one object of the cluster took. */
  readonly clusterIndex: Histogram;
  /** Seconds that the stop took. */
  readonly shutdown: Histogram;
}

/** The name of the metric that `written`, a key of `histogram_buckets`, means: with or without prefix and unit. */
export function histogramNamed(written: string): MetricName | undefined {
  const core = (name: string) => name.replace(/^mermin_/, "").replace(/_buckets$/, "").replace(/_seconds$/, "");
  return HISTOGRAM_NAMES.find((name) => core(name) === core(written));
}

/** Empty histograms, with the buckets that `chosen` has for them (see {@linkcode histogramNamed}) or their usual ones. */
export function createHistograms(chosen: Readonly<Record<string, readonly number[]>> = {}): Histograms {
  const byName = new Map(Object.entries(chosen).map(([written, bounds]) => [histogramNamed(written), bounds]));
  const make = (name: MetricName) => new Histogram(byName.get(name) ?? (METRICS[name] as MetricSpec).buckets!);
  return {
    flowProducerOut: make("mermin_pipeline_duration_seconds"),
    decoratorOut: make("mermin_pipeline_duration_seconds"),
    exportOut: make("mermin_pipeline_duration_seconds"),
    batchSize: make("mermin_export_batch_size"),
    clusterIndex: make("mermin_k8s_watcher_ip_index_update_duration_seconds"),
    shutdown: make("mermin_shutdown_duration_seconds"),
  };
}

/** Sources of the metrics that are histograms. */
export function histogramSources(histograms: Histograms): MetricSources {
  return {
    mermin_pipeline_duration_seconds: (emit) => {
      emit(histograms.flowProducerOut, { stage: "flow_producer_out" });
      if (histograms.decoratorOut.count > 0) emit(histograms.decoratorOut, { stage: "k8s_decorator_out" });
      emit(histograms.exportOut, { stage: "export_out" });
    },
    mermin_k8s_watcher_ip_index_update_duration_seconds: (emit) => emit(histograms.clusterIndex),
    mermin_export_batch_size: (emit) => emit(histograms.batchSize),
    mermin_shutdown_duration_seconds: (emit) => emit(histograms.shutdown),
  };
}
