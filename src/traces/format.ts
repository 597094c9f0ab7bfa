import { ABSENT, type FlowSpan, type U64 } from "../flow/span.ts";
import type { SpanAttribute } from "../export/attributes.ts";
import type { FlowFormatter } from "../export/stdout/formatter.ts";

/** The agent's own spans as text: one line each, or the attributes below it. */
export class OwnTextFormatter implements FlowFormatter {
  readonly width = 0;
  constructor(readonly attributes: readonly SpanAttribute[], readonly isIndented: boolean) {}

  header(): string {
    return "";
  }

  flow(span: FlowSpan): string {
    const startMs = milliseconds(span.startNs);
    const lasted = `${(milliseconds(span.endNs) - startMs).toFixed(1)} ms`;
    const values = this.attributes.flatMap((attribute) => {
      const value = attribute.read(span);
      return value === ABSENT || value === "" ? [] : [`${attribute.name}=${JSON.stringify(value)}`];
    });
    const head = `${new Date(startMs).toISOString()} trace ${span.name} ${lasted} trace_id=${span.traceId.toHex()}`;
    return this.isIndented
      ? [head, ...values.map((value) => `    ${value}`)].join("\n") + "\n"
      : [head, ...values].join(" ") + "\n";
  }
}

function milliseconds({ hi, lo }: U64): number {
  return (hi * 2 ** 32 + lo) / 1e6;
}
