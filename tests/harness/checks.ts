/** What must hold for every span, whatever the traffic was. */

import type { SpanRecord } from "./otlp_json.ts";

const KIND_OF_DIRECTION: Record<string, number> = { unknown: 1, reverse: 2, forward: 3 };
const END_REASONS = new Set([
  "idle_timeout",
  "active_timeout",
  "end_of_flow_detected",
  "forced_end",
  "lack_of_resources",
]);
const COUNTERS = ["flow.packets", "flow.bytes", "flow.reverse.packets", "flow.reverse.bytes"];

/** One line per violated rule: ids, times, kind, end reason, counters, interface. */
export function checkSpans(spans: SpanRecord[], interfaceName: string): string[] {
  const faults: string[] = [];
  const spanIds = new Set<string>();
  for (const span of spans) {
    const { attributes: a, spanId } = span;
    const rules: Record<string, boolean> = {
      "has a span id of its own": /^[0-9a-f]{16}$/.test(spanId) && !spanIds.has(spanId),
      "has a trace id": /^[0-9a-f]{32}$/.test(span.traceId) && !/^0+$/.test(span.traceId),
      "starts before it ends": span.startNs > 0n && span.startNs <= span.endNs,
      "has the kind of its direction": KIND_OF_DIRECTION[String(a["flow.direction"])] === span.kind,
      "has a known end reason": END_REASONS.has(String(a["flow.end_reason"])),
      "has packets": Number(a["flow.packets.delta"]) + Number(a["flow.reverse.packets.delta"]) > 0,
      "has totals not below deltas": COUNTERS.every((name) => Number(a[`${name}.total`]) >= Number(a[`${name}.delta`])),
      "names its interface": a["network.interface.name"] === interfaceName,
      "has the interface's index and MAC": Number(a["network.interface.index"]) > 0 &&
        /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(String(a["network.interface.mac"])),
    };
    for (const [rule, holds] of Object.entries(rules)) {
      if (!holds) faults.push(`span ${span.name} ${spanId} is not one that ${rule}`);
    }
    spanIds.add(spanId);
  }
  return faults;
}

/** Spans of one flow in the order of their windows, grouped by Community ID. */
export function byFlow(spans: SpanRecord[]): Map<string, SpanRecord[]> {
  const flows = Map.groupBy(spans, ({ attributes }) => String(attributes["flow.community_id"]));
  for (const records of flows.values()) records.sort((a, b) => Number(a.startNs - b.startNs));
  return flows;
}

/** The first lines, for an assertion whose full difference nobody could read. */
export function first(lines: string[], count = 15): string[] {
  return lines.length > count ? [...lines.slice(0, count), `and ${lines.length - count} more`] : lines;
}
