import { type Exporter, LOSS_REASONS } from "../export/exporter.ts";
import type { MetricSources } from "./table.ts";

/** Sources of the metrics about `exporters`, read from what each counts anyway; `spans` is how many were made. */
export function exporterSources(
  exporters: readonly Pick<Exporter, "name" | "stats">[],
  spans: () => number,
): MetricSources {
  return {
    mermin_export_flow_spans_total: (emit) => {
      emit(exporters.length === 0 ? spans() : 0, { exporter: "noop", status: "noop" });
      for (const { name: exporter, stats } of exporters) {
        emit(stats.delivered, { exporter, status: "ok" });
        emit(Object.values(stats.lost).reduce((sum, count) => sum + count, 0), { exporter, status: "error" });
      }
    },
    mermin_export_lost_spans_total: (emit) => {
      for (const { name: exporter, stats } of exporters) {
        // Zeros too: an increase is seen only in a series that was there before.
        for (const reason of LOSS_REASONS[exporter]) emit(stats.lost[reason] ?? 0, { exporter, reason });
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
