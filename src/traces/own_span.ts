/** A span about what the agent itself did, in the shape that the exporters of flows take. */

import type { IntAttribute, SpanAttribute, StringAttribute } from "../export/attributes.ts";
import { ABSENT, FlowSpan } from "../flow/span.ts";

export type OwnSpanName = "agent.start" | "agent.stop" | "config.reload" | "producer.sweep";

const INT = {
  "mermin.interfaces": "interfaces that are watched",
  "mermin.flows.taken_over": "open flows of an earlier agent",
  "mermin.flows.preserved": "open flows that stay in the kernel for a successor",
  "mermin.flows.lost": "open flows whose spans were not delivered",
  "mermin.spans": "flow spans made",
} as const;
const TEXT = { "error.message": "why it failed" } as const;

/** What such a span says besides its name and times. */
export type OwnValues = { [N in keyof typeof INT]?: number } & { [N in keyof typeof TEXT]?: string };

/** Only its name, ids, times and `values` mean anything. */
export class OwnSpan extends FlowSpan {
  values: OwnValues = {};
}

function valuesOf(span: FlowSpan): OwnValues {
  return span instanceof OwnSpan ? span.values : {};
}

const WHEN = "when it is known";

/** Every attribute of the agent's own spans. */
export const OWN_ATTRIBUTES: readonly SpanAttribute[] = [
  ...entries(INT).map(([name, about]): IntAttribute => ({
    ...{ name, about, when: WHEN, type: "int" },
    read: (span) => valuesOf(span)[name] ?? ABSENT,
  })),
  ...entries(TEXT).map(([name, about]): StringAttribute => ({
    ...{ name, about, when: WHEN, type: "string" },
    read: (span) => valuesOf(span)[name] ?? "",
  })),
];

function entries<T extends Record<string, string>>(table: T): [keyof T & string, string][] {
  return Object.entries(table) as [keyof T & string, string][];
}
