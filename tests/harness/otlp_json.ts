/** Reads the JSON lines that the OpenTelemetry Collector's file exporter writes. */

export type AttributeValue = string | number | boolean | AttributeValue[];
export type Attributes = Record<string, AttributeValue>;

/** One span as the Collector understood it. */
export interface SpanRecord {
  traceId: string;
  spanId: string;
  name: string;
  /** OTLP `Span.SpanKind`. */
  kind: number;
  startNs: bigint;
  endNs: bigint;
  attributes: Attributes;
  resource: Attributes;
  scopeName: string;
  scopeVersion: string;
}

interface AnyValue {
  stringValue?: string;
  intValue?: string;
  doubleValue?: number;
  boolValue?: boolean;
  arrayValue?: { values?: AnyValue[] };
}

interface Attributed {
  attributes?: { key: string; value: AnyValue }[];
}

interface TracesData {
  resourceSpans?: {
    resource?: Attributed;
    scopeSpans?: {
      scope?: { name?: string; version?: string };
      spans?: (Attributed & {
        traceId: string;
        spanId: string;
        name: string;
        kind?: number;
        startTimeUnixNano: string;
        endTimeUnixNano: string;
      })[];
    }[];
  }[];
}

/**
 * Reads lines of OTLP JSON; a last line without its end is left out.
 *
 * @throws {RangeError} for an integer that a JavaScript number cannot hold exactly.
 */
export function readSpans(lines: string): SpanRecord[] {
  const complete = lines.slice(0, lines.lastIndexOf("\n") + 1).split("\n").filter((line) => line !== "");
  return complete.flatMap((line) => spansOf(JSON.parse(line)));
}

function spansOf({ resourceSpans = [] }: TracesData): SpanRecord[] {
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) => {
    const resourceAttributes = readAttributes(resource);
    return scopeSpans.flatMap(({ scope, spans = [] }) =>
      spans.map((span) => ({
        traceId: span.traceId,
        spanId: span.spanId,
        name: span.name,
        kind: span.kind ?? 0,
        startNs: BigInt(span.startTimeUnixNano),
        endNs: BigInt(span.endTimeUnixNano),
        attributes: readAttributes(span),
        resource: resourceAttributes,
        scopeName: scope?.name ?? "",
        scopeVersion: scope?.version ?? "",
      }))
    );
  });
}

function readAttributes(holder: Attributed = {}): Attributes {
  return Object.fromEntries((holder.attributes ?? []).map(({ key, value }) => [key, readValue(value)]));
}

function readValue(value: AnyValue): AttributeValue {
  if (value.intValue !== undefined) {
    const number = Number(value.intValue);
    if (!Number.isSafeInteger(number)) throw new RangeError(`Cannot hold the integer ${value.intValue} exactly`);
    return number;
  }
  if (value.arrayValue) return (value.arrayValue.values ?? []).map(readValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? "";
}
