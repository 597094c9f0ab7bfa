/** What spans of one conversation add up to. */

import type { SpanRecord } from "../harness/otlp_json.ts";

/** Packets and bytes that each end has sent. */
export interface Sums {
  packets: Record<string, number>;
  bytes: Record<string, number>;
}

/** Name of the conversation between `address:port` of two ends. */
export function conversation(transport: string, ...ends: [one: string, other: string]): string {
  return [transport, ...ends.sort()].join(" ");
}

function conversationOf({ attributes: a }: SpanRecord): string {
  const ends = ["source", "destination"].map((end) => `${a[`${end}.address`]}:${a[`${end}.port`]}`);
  return conversation(String(a["network.transport"]), ends[0], ends[1]);
}

/** Adds up spans of one conversation, by who has sent. */
export function sumsOf(spans: readonly SpanRecord[]): Sums {
  const sums: Sums = { packets: {}, bytes: {} };
  const add = (unit: "packets" | "bytes", sender: string, value: unknown) => {
    sums[unit][sender] = (sums[unit][sender] ?? 0) + Number(value ?? 0);
  };
  for (const { attributes: a } of spans) {
    for (const unit of ["packets", "bytes"] as const) {
      add(unit, String(a["source.address"]), a[`flow.${unit}.delta`]);
      add(unit, String(a["destination.address"]), a[`flow.reverse.${unit}.delta`]);
    }
  }
  return sums;
}

/** Those that satisfy `condition`, by conversation. */
export function conversations(
  spans: readonly SpanRecord[],
  condition: (span: SpanRecord) => boolean,
): Map<string, SpanRecord[]> {
  return Map.groupBy(spans.filter(condition), conversationOf);
}
