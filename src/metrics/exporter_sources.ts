import type { Exporter } from "../export/exporter.ts";
import type { MetricSources } from "./table.ts";

/** Sources of the metrics about `exporters`, read from what each counts anyway. */
export function exporterSources(exporters: readonly Pick<Exporter, "name" | "stats">[]): MetricSources {
  return {
    mermin_export_flow_spans_total: (emit) => {
      for (const { name: exporter, stats } of exporters) {
        emit(stats.delivered, { exporter, status: "ok" });
        emit(Object.values(stats.lost).reduce((sum, count) => sum + count, 0), { exporter, status: "error" });
      }
    },
    mermin_export_lost_spans_total: (emit) => {
      for (const { name: exporter, stats } of exporters) {
        for (const [reason, count] of Object.entries(stats.lost)) emit(count, { exporter, reason });
      }
    },
    mermin_export_requests_total: (emit) => {
      for (const { name: exporter, stats } of exporters) emit(stats.requests, { exporter });
    },
    mermin_export_retries_total: (emit) => {
      for (const { name: exporter, stats } of exporters) emit(stats.retries, { exporter });
    },
    mermin_export_queue_spans: (emit) => {
      for (const { name: exporter, stats } of exporters) emit(stats.queued, { exporter });
    },
    mermin_export_queue_bytes: (emit) => {
      for (const { name: exporter, stats } of exporters) emit(stats.queuedBytes, { exporter });
    },
  };
}
