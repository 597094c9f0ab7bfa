import type { MetricSources } from "../metrics/table.ts";
import { LOST_REASONS, UNPARSED_REASONS } from "./layout.gen.ts";
import type { HookCounters, TableCounters } from "./loader.ts";

/** What was taken out of the kernel so far; the values only grow. */
export interface TakenCounts {
  /** Records, each of which became a span. */
  spans: number;
  /** Packets in these spans, both directions. */
  packets: number;
  /** Wake-ups by the kernel because the table filled up. */
  wakeups: number;
}

export interface CaptureSources {
  /** The kernel's counters; asked for by each metric, so best kept for a moment, which also makes a scrape agree. */
  counters: () => TableCounters;
  interfaceName: (ifindex: number) => string;
  modes: () => ReadonlySet<"tcx" | "clsact">;
  isPinned: boolean;
  eventCapacity: number;
  taken: TakenCounts;
}

/** Sources of the metrics about the kernel side and the flows that come out of it. */
export function captureSources(from: CaptureSources): MetricSources {
  const { counters, taken } = from;
  const eachHook = (
    take: (hook: HookCounters, labels: { interface: string; direction: HookCounters["direction"] }) => void,
  ) => {
    for (const hook of counters().hooks) {
      take(hook, { interface: from.interfaceName(hook.ifindex), direction: hook.direction });
    }
  };
  return {
    mermin_ebpf_bpf_fs_writable: (emit) => emit(from.isPinned ? 1 : 0),
    mermin_ebpf_map_capacity: (emit) => {
      emit(counters().capacity, { map: "FLOW_STATS", unit: "entries" });
      emit(from.eventCapacity, { map: "FLOW_EVENTS", unit: "entries" });
    },
    mermin_ebpf_map_size: (emit) => emit(counters().used, { map: "FLOW_STATS", unit: "entries" }),
    mermin_ebpf_map_ops_total: (emit) => {
      const { freed, leaked } = counters();
      emit(taken.spans, { map: "FLOW_STATS", operation: "read", status: "ok" });
      emit(freed, { map: "FLOW_STATS", operation: "delete", status: "ok" });
      emit(leaked, { map: "FLOW_STATS", operation: "delete", status: "error" });
    },
    mermin_ebpf_method: (emit) => {
      const modes = from.modes();
      emit(modes.has("tcx") ? 1 : 0, { attachment: "tcx" });
      emit(modes.has("clsact") ? 1 : 0, { attachment: "tc" });
    },
    mermin_interface_bytes_total: (emit) => eachHook((hook, labels) => emit(hook.bytes, labels)),
    mermin_interface_packets_total: (emit) => eachHook((hook, labels) => emit(hook.packets, labels)),
    mermin_capture_packets_total: (emit) =>
      eachHook((hook, labels) => {
        emit(hook.counted, { ...labels, outcome: "counted", reason: "" });
        emit(hook.noted, { ...labels, outcome: "duplicate", reason: "" });
        UNPARSED_REASONS.forEach((reason, i) => emit(hook.unparsed[i], { ...labels, outcome: "unparsed", reason }));
        LOST_REASONS.forEach((reason, i) => emit(hook.lost[i], { ...labels, outcome: "lost", reason }));
      }),
    mermin_flow_spans_active_total: (emit) => emit(counters().used),
    mermin_flow_spans_created_total: (emit) => emit(taken.spans),
    mermin_flow_span_packets_total: (emit) => emit(taken.packets),
    mermin_flow_open_packets: (emit) => emit(counters().openPackets),
    mermin_flow_events_total: (emit) => emit(taken.wakeups, { status: "received" }),
  };
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
