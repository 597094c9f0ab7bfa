/** Flow spans as OTLP `ExportTraceServiceRequest` in JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding). */

import { ABSENT, type FlowSpan, type U64 } from "../../flow/span.ts";
import { SPAN_ATTRIBUTES, type SpanAttribute } from "../attributes.ts";
import { ByteWriter } from "./byte_writer.ts";
import type { ResourceAttributes, Scope } from "./encoder.ts";
import type { RequestFormat } from "./queue.ts";

const UTF8 = new TextEncoder();
const bytesOf = (text: string) => UTF8.encode(text);

const SPAN = {
  TRACE_ID: bytesOf('{"traceId":"'),
  SPAN_ID: bytesOf('","spanId":"'),
  NAME: bytesOf('","name":'),
  KIND: bytesOf(',"kind":'),
  START: bytesOf(',"startTimeUnixNano":"'),
  END: bytesOf('","endTimeUnixNano":"'),
  ATTRIBUTES: bytesOf('","attributes":['),
  CLOSE: bytesOf("]}"),
};
const COMMA = bytesOf(",");
/** What stands around a value. Numbers of 64 bits are texts, as in every JSON of protobuf. */
const VALUE = {
  "string": { before: '"value":{"stringValue":', after: bytesOf("}}") },
  "int": { before: '"value":{"intValue":"', after: bytesOf('"}}') },
  "string[]": { before: '"value":{"arrayValue":{"values":[', after: bytesOf("]}}}") },
};
const ELEMENT = { before: bytesOf('{"stringValue":'), after: bytesOf("}") };
const REQUEST_END = bytesOf("]}]}]}");

/** An attribute together with what stands before its value, without and with a comma. */
type PreparedAttribute = SpanAttribute & {
  readonly first: Uint8Array;
  readonly next: Uint8Array;
  readonly always: boolean;
};

/** Encodes requests that hold the spans of one resource and one scope. */
export class JsonRequestEncoder implements RequestFormat<FlowSpan> {
  readonly #start: Uint8Array;
  readonly #attributes: readonly PreparedAttribute[];

  constructor(resource: ResourceAttributes, scope: Scope, attributes: readonly SpanAttribute[] = SPAN_ATTRIBUTES) {
    this.#start = encodeStart(resource, scope);
    this.#attributes = attributes.map((attribute) => {
      const first = beforeValue(attribute.name, attribute.type);
      return {
        ...attribute,
        first: bytesOf(first),
        next: bytesOf(`,${first}`),
        always: attribute.when === "always",
      };
    });
  }

  begin(writer: ByteWriter): void {
    writer.reset();
    writer.raw(this.#start);
  }

  add(writer: ByteWriter, span: FlowSpan): void {
    if (writer.length > this.#start.length) writer.raw(COMMA);
    writer.raw(SPAN.TRACE_ID);
    writer.hex(span.traceId);
    writer.raw(SPAN.SPAN_ID);
    writer.hex(span.spanId);
    writer.raw(SPAN.NAME);
    writer.json(span.name);
    writer.raw(SPAN.KIND);
    writer.decimal(span.kind);
    writer.raw(SPAN.START);
    writer.text(decimal(span.startNs));
    writer.raw(SPAN.END);
    writer.text(decimal(span.endNs));
    writer.raw(SPAN.ATTRIBUTES);
    const start = writer.length;
    for (const attribute of this.#attributes) writeAttribute(writer, attribute, span, writer.length === start);
    for (const facts of [span.sourceFacts, span.destinationFacts]) {
      for (const [name, value] of facts?.attributes ?? []) {
        if (writer.length > start) writer.raw(COMMA);
        writer.text(beforeValue(name, "string"));
        writer.json(value);
        writer.raw(VALUE.string.after);
      }
    }
    writer.raw(SPAN.CLOSE);
  }

  finish(writer: ByteWriter): Uint8Array<ArrayBuffer> {
    writer.raw(REQUEST_END);
    return writer.view();
  }
}

function writeAttribute(writer: ByteWriter, attribute: PreparedAttribute, span: FlowSpan, isFirst: boolean): void {
  const before = isFirst ? attribute.first : attribute.next;
  switch (attribute.type) {
    case "string": {
      const value = attribute.read(span);
      if (value === "" && !attribute.always) return;
      writer.raw(before);
      writer.json(value);
      break;
    }
    case "int": {
      const value = attribute.read(span);
      if (value === ABSENT) return;
      writer.raw(before);
      writer.decimal(value);
      break;
    }
    case "string[]": {
      const values = attribute.read(span);
      if (values.length === 0) return;
      writer.raw(before);
      writeElements(writer, values);
      break;
    }
  }
  writer.raw(VALUE[attribute.type].after);
}

function writeElements(writer: ByteWriter, values: readonly string[]): void {
  for (let i = 0; i < values.length; i++) {
    if (i > 0) writer.raw(COMMA);
    writer.raw(ELEMENT.before);
    writer.json(values[i]);
    writer.raw(ELEMENT.after);
  }
}

function decimal({ lo, hi }: U64): string {
  return ((BigInt(hi) << 32n) | BigInt(lo)).toString();
}

function beforeValue(name: string, type: SpanAttribute["type"]): string {
  return `{"key":${JSON.stringify(name)},${VALUE[type].before}`;
}

function encodeStart(resource: ResourceAttributes, scope: Scope): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.text('{"resourceSpans":[{"resource":{"attributes":[');
  for (const [i, [name, value]] of Object.entries(resource).entries()) {
    const type = typeof value === "string" ? "string" : typeof value === "number" ? "int" : "string[]";
    writer.text((i > 0 ? "," : "") + beforeValue(name, type));
    if (typeof value === "string") writer.json(value);
    else if (typeof value === "number") writer.decimal(value);
    else writeElements(writer, value);
    writer.raw(VALUE[type].after);
  }
  const { name, version } = scope;
  writer.text(`]},"scopeSpans":[{"scope":${JSON.stringify({ name, version })},"spans":[`);
  return writer.view();
}
