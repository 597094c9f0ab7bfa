/** A flow with all of its attributes, one in a line, for people. */

import { ABSENT, type FlowSpan } from "../../flow/span.ts";
import { SPAN_ATTRIBUTES, type SpanAttribute } from "../attributes.ts";
import { BOLD, DIM, type FlowFormatter, RESET } from "./formatter.ts";
import { ARROWS, clockTime, formatEndpoint, KINDS, printable } from "./text.ts";

const INDENT = "    ";

/** One line with time, name and ends, and below it what OTLP would tell of the span. */
export class IndentedTextFormatter implements FlowFormatter {
  readonly width = 0;
  readonly #nameWidth: number;
  readonly #useColors: boolean;

  constructor(useColors: boolean) {
    this.#nameWidth = Math.max(...SPAN_ATTRIBUTES.map(({ name }) => name.length));
    this.#useColors = useColors;
  }

  header(): string {
    return "";
  }

  flow(span: FlowSpan): string {
    const source = formatEndpoint(span.sourceAddress, span.sourcePort);
    const destination = formatEndpoint(span.destinationAddress, span.destinationPort);
    const head = `${clockTime(span.endNs)}  ${span.name}  ${source} ${ARROWS[span.direction]} ${destination}`;
    const lines = [
      this.#styled(BOLD, printable(head)),
      this.#line("kind", KINDS[span.kind]),
      this.#line("trace.id", span.traceId.toHex()),
      this.#line("span.id", span.spanId.toHex()),
      this.#line("start", `${clockTime(span.startNs)} UTC`),
      this.#line("end", `${clockTime(span.endNs)} UTC`),
    ];
    for (const attribute of SPAN_ATTRIBUTES) {
      const value = valueOf(attribute, span);
      if (value !== "") lines.push(this.#line(attribute.name, printable(value)));
    }
    for (const facts of [span.sourceFacts, span.destinationFacts]) {
      for (const [name, value] of facts?.attributes ?? []) lines.push(this.#line(name, printable(value)));
    }
    return lines.join("\n") + "\n";
  }

  #line(name: string, value: string): string {
    return INDENT + this.#styled(DIM, name.padEnd(this.#nameWidth)) + `  ${value}`;
  }

  #styled(style: string, text: string): string {
    return this.#useColors ? style + text + RESET : text;
  }
}

/** `""` when `span` has no such attribute. */
function valueOf(attribute: SpanAttribute, span: FlowSpan): string {
  const value = attribute.read(span);
  if (typeof value === "number") return value === ABSENT ? "" : String(value);
  return typeof value === "string" ? value : value.join(", ");
}
