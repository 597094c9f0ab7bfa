import type { MetricSources } from "../metrics/table.ts";
import type { Cluster } from "./cluster.ts";

const EVENTS = { ADDED: "added", MODIFIED: "modified", DELETED: "deleted", BOOKMARK: "bookmark" } as const;

/** Sources of the metrics about the cluster. */
export function clusterSources(cluster: Cluster): MetricSources {
  const totals = (of: (stats: Cluster["figures"]["watched"][number]) => number) => {
    const byKind = new Map<string, number>();
    for (const stats of cluster.figures.watched) byKind.set(stats.kind, (byKind.get(stats.kind) ?? 0) + of(stats));
    return byKind;
  };
  return {
    mermin_k8s_watcher_events_total: (emit) => {
      for (const [type, event] of Object.entries(EVENTS)) {
        for (const [kind, count] of totals(({ events }) => events[type as keyof typeof EVENTS])) {
          emit(count, { event, kind });
        }
      }
      for (const [kind, count] of totals(({ listed }) => listed)) emit(count, { event: "listed", kind });
    },
    mermin_k8s_watcher_errors_total: (emit) => {
      for (const [kind, count] of totals(({ errors }) => errors)) emit(count, { kind });
    },
    mermin_k8s_watcher_lists_total: (emit) => {
      for (const [kind, count] of totals(({ lists }) => lists)) emit(count, { kind });
    },
    mermin_k8s_objects: (emit) => {
      for (const { kind, count } of cluster.figures.objects) emit(count, { kind });
    },
    mermin_k8s_addresses: (emit) => emit(cluster.figures.addresses),
    mermin_k8s_decorator_flow_spans_total: (emit) => {
      const { ok, undecorated, error } = cluster.figures.decorator;
      emit(ok, { status: "ok" });
      emit(undecorated, { status: "undecorated" });
      emit(error, { status: "error" });
      // It has no queue to drop from.
      emit(0, { status: "dropped" });
    },
  };
}
