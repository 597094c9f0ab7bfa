/**
 * A flow as one JSON object, with the names of OTLP and its attributes as they are called there:
 * `{"traceId","spanId","name","kind","startTimeUnixNano","endTimeUnixNano","attributes":{…},"resource":{…}}`.
 * Times are texts, since they do not fit into the numbers of many readers; counters are numbers.
 */

import { ABSENT, type FlowSpan, SpanKind, type U64 } from "../../flow/span.ts";
import { SPAN_ATTRIBUTES, type SpanAttribute } from "../attributes.ts";
import type { ResourceAttributes } from "../otlp/mod.ts";
import type { FlowFormatter } from "./formatter.ts";

const KINDS = {
  [SpanKind.CLIENT]: "SPAN_KIND_CLIENT",
  [SpanKind.SERVER]: "SPAN_KIND_SERVER",
  [SpanKind.INTERNAL]: "SPAN_KIND_INTERNAL",
} as const;
const STEP = "  ";

/** Objects in one line, or with every member in a line of its own. */
export class JsonFormatter implements FlowFormatter {
  readonly width = 0;
  readonly #isIndented: boolean;
  /** Each with its name as JSON. */
  readonly #attributes: readonly (readonly [name: string, attribute: SpanAttribute])[];
  readonly #resource: string;

  constructor(
    resource: ResourceAttributes,
    isIndented: boolean,
    attributes: readonly SpanAttribute[] = SPAN_ATTRIBUTES,
  ) {
    this.#isIndented = isIndented;
    this.#attributes = attributes.map((attribute) => [this.#member(attribute.name, ""), attribute]);
    const members = Object.entries(resource).map(([name, value]) => this.#member(name, JSON.stringify(value)));
    this.#resource = this.#object(members, STEP);
  }

  header(): string {
    return "";
  }

  flow(span: FlowSpan): string {
    const attributes: string[] = [];
    for (const [name, attribute] of this.#attributes) {
      const value = valueOf(attribute, span);
      if (value !== "") attributes.push(name + value);
    }
    for (const facts of [span.sourceFacts, span.destinationFacts]) {
      for (const [name, value] of facts?.attributes ?? []) attributes.push(this.#member(name, JSON.stringify(value)));
    }
    const members = [
      this.#member("traceId", `"${span.traceId.toHex()}"`),
      this.#member("spanId", `"${span.spanId.toHex()}"`),
      this.#member("name", JSON.stringify(span.name)),
      this.#member("kind", `"${KINDS[span.kind]}"`),
      this.#member("startTimeUnixNano", `"${decimal(span.startNs)}"`),
      this.#member("endTimeUnixNano", `"${decimal(span.endNs)}"`),
      this.#member("attributes", this.#object(attributes, STEP)),
      this.#member("resource", this.#resource),
    ];
    return this.#object(members, "") + "\n";
  }

  #member(name: string, value: string): string {
    return `${JSON.stringify(name)}:${this.#isIndented ? " " : ""}${value}`;
  }

  #object(members: readonly string[], indent: string): string {
    if (!this.#isIndented || members.length === 0) return `{${members.join(",")}}`;
    const lineBreak = `\n${indent}${STEP}`;
    return `{${lineBreak}${members.join(`,${lineBreak}`)}\n${indent}}`;
  }
}

/** As JSON; `""` when `span` has no such attribute. */
function valueOf(attribute: SpanAttribute, span: FlowSpan): string {
  const value = attribute.read(span);
  if (typeof value === "number") return value === ABSENT ? "" : String(value);
  return value.length > 0 || attribute.when === "always" ? JSON.stringify(value) : "";
}

function decimal({ lo, hi }: U64): string {
  return ((BigInt(hi) << 32n) | BigInt(lo)).toString();
}
