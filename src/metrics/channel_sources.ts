import type { Exporter } from "../export/exporter.ts";
import type { MetricSources } from "./table.ts";

/** Where things wait on the way of a flow. */
export interface Channels {
  /** Entries of the kernel's table. */
  tableCapacity: number;
  /** Spans that may wait in an exporter before records are held back. */
  maxWaitingSpans: () => number;
  producer: {
    /** Records taken out of the kernel so far. */
    readonly records: number;
    /** Records that are due and not read yet. */
    readonly unread: number;
  };
  exporters: readonly Pick<Exporter, "stats">[];
  /** Spans are named in a cluster on their way to the exporters: their line has a second name. */
  isDecorated: boolean;
}

/** Sources of the metrics about what waits where. */
export function channelSources(
  { tableCapacity, maxWaitingSpans, producer, exporters, isDecorated }: Channels,
): MetricSources {
  const sum = (take: (stats: Exporter["stats"]) => number) =>
    exporters.reduce((total, { stats }) => total + take(stats), 0);
  const dropped = () => sum(({ lost }) => lost.queue_full ?? 0);
  const outputs = isDecorated ? ["producer_output", "decorator_output"] as const : ["producer_output"] as const;
  return {
    mermin_channel_capacity: (emit) => {
      emit(tableCapacity, { channel: "packet_worker" });
      for (const channel of outputs) emit(maxWaitingSpans(), { channel });
    },
    mermin_channel_entries: (emit) => {
      emit(producer.unread, { channel: "packet_worker" });
      for (const channel of outputs) emit(Math.max(0, ...exporters.map(({ stats }) => stats.queued)), { channel });
    },
    mermin_channel_sends_total: (emit) => {
      emit(producer.records, { channel: "packet_worker", status: "ok" });
      emit(0, { channel: "packet_worker", status: "error" });
      for (const channel of outputs) {
        emit(sum(({ accepted }) => accepted) - dropped(), { channel, status: "ok" });
        emit(dropped(), { channel, status: "error" });
      }
    },
  };
}
