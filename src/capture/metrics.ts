import type { MetricLabels, MetricSources } from "../metrics/table.ts";
import { LOST_REASONS, UNPARSED_REASONS } from "./layout.gen.ts";
import type { InterfaceCounters } from "./interface_series.ts";
import type { HookCounters, TableCounters } from "./loader.ts";

/** What was taken out of the kernel so far; the values only grow. */
export interface TakenCounts {
  /** Records read: spans and filtered. */
  records: number;
  /** Records that became spans. */
  spans: number;
  /** Records that a filter dropped. */
  filtered: number;
  /** Wake-ups by the kernel because the table filled up. */
  wakeups: number;
}

export interface CaptureSources {
  /** The kernel's counters; asked for by each metric, so best kept for a moment, which also makes a scrape agree. */
  counters: () => TableCounters;
  /** The counters of each interface. */
  interfaces: () => readonly InterfaceCounters[];
  modes: () => ReadonlySet<"tcx" | "clsact">;
  isPinned: boolean;
  eventCapacity: number;
  /** Sockets that listen in the watched namespace. */
  listeningSockets: () => number;
  taken: TakenCounts;
}

/** Sources of the metrics about the kernel side and the flows that come out of it. */
export function captureSources(from: CaptureSources): MetricSources {
  const { counters, taken } = from;
  const eachInterface = (take: (counters: HookCounters, labels: InterfaceLabels) => void) => {
    for (const { interface: name, direction, counters } of from.interfaces()) {
      take(counters, { interface: name, direction });
    }
  };
  return {
    mermin_ebpf_bpf_fs_writable: (emit) => emit(from.isPinned ? 1 : 0),
    mermin_ebpf_map_capacity: (emit) => {
      emit(counters().capacity, { map: "FLOW_STATS", unit: "entries" });
      emit(from.eventCapacity, { map: "FLOW_EVENTS", unit: "entries" });
    },
    mermin_ebpf_map_size: (emit) => {
      emit(counters().used, { map: "FLOW_STATS", unit: "entries" });
      emit(from.listeningSockets(), { map: "LISTENING_PORTS", unit: "entries" });
    },
    mermin_ebpf_map_ops_total: (emit) => {
      const { freed, leaked } = counters();
      emit(taken.records, { map: "FLOW_STATS", operation: "read", status: "ok" });
      emit(freed, { map: "FLOW_STATS", operation: "delete", status: "ok" });
      emit(leaked, { map: "FLOW_STATS", operation: "delete", status: "error" });
      emit(taken.wakeups, { map: "FLOW_EVENTS", operation: "read", status: "ok" });
    },
    mermin_ebpf_method: (emit) => {
      const modes = from.modes();
      emit(modes.has("tcx") ? 1 : 0, { attachment: "tcx" });
      emit(modes.has("clsact") ? 1 : 0, { attachment: "tc" });
    },
    mermin_capture_bytes_total: (emit) => {
      for (const { bytes, direction } of counters().hooks) emit(bytes, { direction });
    },
    mermin_capture_packets_total: (emit) => {
      for (const hook of counters().hooks) {
        eachOutcome(hook, (packets, outcome) => emit(packets, { direction: hook.direction, ...outcome }));
      }
    },
    mermin_capture_key_scope_conflicts_total: (emit) => {
      emit(counters().hooks.reduce((sum, { keyScopeConflict }) => sum + keyScopeConflict, 0));
    },
    mermin_interface_bytes_total: (emit) => eachInterface(({ bytes }, labels) => emit(bytes, labels)),
    mermin_interface_packets_total: (emit) => eachInterface(({ packets }, labels) => emit(packets, labels)),
    mermin_interface_capture_packets_total: (emit) => {
      eachInterface((hook, labels) =>
        eachOutcome(hook, (packets, outcome) => emit(packets, { ...labels, ...outcome }))
      );
    },
    mermin_flow_spans_active_total: (emit) => emit(counters().used),
    mermin_flow_spans_created_total: (emit) => emit(taken.spans),
    mermin_flow_spans_filtered_total: (emit) => emit(taken.filtered),
    mermin_flow_spans_killed_total: (emit) => emit(counters().killed),
    mermin_flow_span_packets_total: (emit) => {
      const { taken, filtered } = counters();
      emit(taken - filtered);
    },
    mermin_flow_pressed_total: (emit) => emit(counters().pressed),
    mermin_flow_open_packets: (emit) => emit(counters().openPackets),
    mermin_conntrack_entries: (emit) => emit(counters().conntrack.entries),
    mermin_conntrack_events_total: (emit) => emit(counters().conntrack.events),
    mermin_conntrack_lost_total: (emit) => emit(counters().conntrack.lost),
    mermin_conntrack_overflows_total: (emit) => emit(counters().conntrack.overflows),
    mermin_flow_events_total: (emit) => emit(taken.wakeups, { status: "received" }),
  };
}

interface InterfaceLabels {
  interface: string;
  direction: HookCounters["direction"];
}

type Outcome = Pick<MetricLabels<"mermin_capture_packets_total">, "outcome" | "reason">;

/** What became of the packets of a hook: each of them is in one outcome. */
function eachOutcome(hook: HookCounters, take: (packets: number, outcome: Outcome) => void): void {
  for (const outcome of ["counted", "duplicate", "filtered"] as const) take(hook[outcome], { outcome, reason: "" });
  UNPARSED_REASONS.forEach((reason, i) => take(hook.unparsed[i], { outcome: "unparsed", reason }));
  LOST_REASONS.forEach((reason, i) => take(hook.lost[i], { outcome: "lost", reason }));
}

/** `read`, called at most once in `ms`. */
export function keptFor<T>(ms: number, read: () => T): () => T {
  let kept: { value: T; untilMs: number } | undefined;
  return () => {
    const nowMs = performance.now();
    if (!kept || nowMs >= kept.untilMs) kept = { value: read(), untilMs: nowMs + ms };
    return kept.value;
  };
}
