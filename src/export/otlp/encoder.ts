/** Flow spans as OTLP `ExportTraceServiceRequest` bytes (opentelemetry-proto, collector/trace/v1 and trace/v1). */

import { ABSENT, type EndFacts, type FlowSpan } from "../../flow/span.ts";
import { SPAN_ATTRIBUTES, type SpanAttribute } from "../attributes.ts";
import { ProtobufWriter, tag, varintLength, WireType } from "./protobuf.ts";

/** Attributes of the OTLP resource: who produced the spans. */
export type ResourceAttributes = Readonly<Record<string, string | number | readonly string[]>>;

/** OTLP instrumentation scope. */
export interface Scope {
  readonly name: string;
  readonly version: string;
}

const { VARINT, I64, LEN } = WireType;
const REQUEST_RESOURCE_SPANS = tag(1, LEN);
const RESOURCE_SPANS = { RESOURCE: tag(1, LEN), SCOPE_SPANS: tag(2, LEN) } as const;
const RESOURCE_ATTRIBUTES = tag(1, LEN);
const SCOPE_SPANS = { SCOPE: tag(1, LEN), SPANS: tag(2, LEN) } as const;
const SCOPE = { NAME: tag(1, LEN), VERSION: tag(2, LEN) } as const;
const SPAN = {
  TRACE_ID: tag(1, LEN),
  SPAN_ID: tag(2, LEN),
  NAME: tag(5, LEN),
  KIND: tag(6, VARINT),
  START: tag(7, I64),
  END: tag(8, I64),
  ATTRIBUTES: tag(9, LEN),
} as const;
const KEY_VALUE = { KEY: tag(1, LEN), VALUE: tag(2, LEN) } as const;
const ANY_VALUE = { STRING: tag(1, LEN), INT: tag(3, VARINT), ARRAY: tag(5, LEN) } as const;
const ARRAY_VALUES = tag(1, LEN);

/** A span takes 400 to 1,100 bytes here, so its length takes two. */
const SPAN_LENGTH_BYTES = 2;
const MAX_LENGTH_BYTES = 5;

/** An attribute together with what is always the same of its bytes. */
type PreparedAttribute = SpanAttribute & {
  readonly always: boolean;
  /** Encoded key field. */
  readonly key: Uint8Array;
  /** All before a short value, with room for the lengths. */
  readonly head: Uint8Array;
  /** Place in `head` of the length of the value field. */
  readonly inner: number;
  /** Shared lists, each with the bytes of all the attribute. */
  readonly lists: WeakMap<readonly string[], Uint8Array>;
};

/**
 * Encodes requests that hold the spans of one resource and one scope.
 *
 * Resource and scope stand before the spans and need the length of all that follows. So a request leaves room at the
 * front: spans are appended behind it, and `finish()` writes the header so that it ends where the spans begin.
 */
export class RequestEncoder {
  readonly #resource: Uint8Array;
  readonly #scope: Uint8Array;
  readonly #headroomBytes: number;
  readonly #attributes: readonly PreparedAttribute[];

  constructor(resource: ResourceAttributes, scope: Scope, attributes: readonly SpanAttribute[] = SPAN_ATTRIBUTES) {
    this.#resource = encodeResource(resource);
    this.#scope = encodeScope(scope);
    this.#headroomBytes = this.#resource.length + this.#scope.length + 2 * (1 + MAX_LENGTH_BYTES);
    this.#attributes = attributes.map(prepare);
  }

  /** Empties `writer` for a new request. */
  begin(writer: ProtobufWriter): void {
    writer.reset(this.#headroomBytes);
  }

  /** Appends one span. */
  add(writer: ProtobufWriter, span: FlowSpan): void {
    const message = writer.begin(SCOPE_SPANS.SPANS, SPAN_LENGTH_BYTES);
    writer.bytes(SPAN.TRACE_ID, span.traceId);
    writer.bytes(SPAN.SPAN_ID, span.spanId);
    writer.string(SPAN.NAME, span.name);
    writer.varint(SPAN.KIND, span.kind);
    writer.fixed64(SPAN.START, span.startNs.lo, span.startNs.hi);
    writer.fixed64(SPAN.END, span.endNs.lo, span.endNs.hi);
    for (const attribute of this.#attributes) writeAttribute(writer, attribute, span);
    if (span.sourceFacts) writer.raw(encodedFacts(span.sourceFacts));
    if (span.destinationFacts) writer.raw(encodedFacts(span.destinationFacts));
    writer.end(message, SPAN_LENGTH_BYTES);
  }

  /** Completes the request; the view is valid until `writer` is used again. */
  finish(writer: ProtobufWriter): Uint8Array<ArrayBuffer> {
    const header = this.#header(writer.length - this.#headroomBytes);
    const start = this.#headroomBytes - header.length;
    writer.overwrite(start, header);
    return writer.view(start);
  }

  #header(spansBytes: number): Uint8Array {
    const scopeSpansBytes = this.#scope.length + spansBytes;
    const resourceSpansBytes = this.#resource.length + 1 + varintLength(scopeSpansBytes) + scopeSpansBytes;
    const header = new ProtobufWriter(this.#headroomBytes);
    header.varint(REQUEST_RESOURCE_SPANS, resourceSpansBytes);
    header.raw(this.#resource);
    header.varint(RESOURCE_SPANS.SCOPE_SPANS, scopeSpansBytes);
    header.raw(this.#scope);
    return header.view();
  }
}

function writeAttribute(writer: ProtobufWriter, attribute: PreparedAttribute, span: FlowSpan): void {
  switch (attribute.type) {
    case "string": {
      const value = attribute.read(span);
      if (value === "" && !attribute.always) break;
      if (!writer.headedString(attribute.head, attribute.inner, value)) {
        writeString(writer, SPAN.ATTRIBUTES, attribute.key, value);
      }
      break;
    }
    case "int": {
      const value = attribute.read(span);
      if (value !== ABSENT) writer.headedVarint(attribute.head, attribute.inner, value);
      break;
    }
    case "string[]": {
      const values = attribute.read(span);
      if (values.length === 0) break;
      if (attribute.isShared) writer.raw(encodedList(attribute, values));
      else writeList(writer, SPAN.ATTRIBUTES, attribute.key, values);
      break;
    }
  }
}

/** Encoded once, copied into every span. */
function encodedList({ key, lists }: PreparedAttribute, values: readonly string[]): Uint8Array {
  const known = lists.get(values);
  if (known) return known;
  const writer = new ProtobufWriter(128);
  writeList(writer, SPAN.ATTRIBUTES, key, values);
  const encoded = writer.view().slice();
  lists.set(values, encoded);
  return encoded;
}

/** The same of an end. */
function encodedFacts(facts: EndFacts): Uint8Array {
  if (facts.encoded) return facts.encoded;
  const writer = new ProtobufWriter(512);
  for (const [name, value] of facts.attributes) writeString(writer, SPAN.ATTRIBUTES, encodeKey(name), value);
  return facts.encoded = writer.view().slice();
}

function writeString(writer: ProtobufWriter, field: number, key: Uint8Array, value: string): void {
  const keyValue = writer.begin(field);
  writer.raw(key);
  const any = writer.begin(KEY_VALUE.VALUE);
  writer.string(ANY_VALUE.STRING, value);
  writer.end(any);
  writer.end(keyValue);
}

function writeInt(writer: ProtobufWriter, field: number, key: Uint8Array, value: number): void {
  const keyValue = writer.begin(field);
  writer.raw(key);
  const any = writer.begin(KEY_VALUE.VALUE);
  writer.varint(ANY_VALUE.INT, value);
  writer.end(any);
  writer.end(keyValue);
}

function writeList(writer: ProtobufWriter, field: number, key: Uint8Array, values: readonly string[]): void {
  const keyValue = writer.begin(field);
  writer.raw(key);
  const any = writer.begin(KEY_VALUE.VALUE);
  const array = writer.begin(ANY_VALUE.ARRAY);
  for (const value of values) {
    const element = writer.begin(ARRAY_VALUES);
    writer.string(ANY_VALUE.STRING, value);
    writer.end(element);
  }
  writer.end(array);
  writer.end(any);
  writer.end(keyValue);
}

function prepare(attribute: SpanAttribute): PreparedAttribute {
  const key = encodeKey(attribute.name);
  const value = attribute.type === "int" ? [ANY_VALUE.INT] : [ANY_VALUE.STRING, 0];
  const head = Uint8Array.of(SPAN.ATTRIBUTES, 0, ...key, KEY_VALUE.VALUE, 0, ...value);
  return { ...attribute, always: attribute.when === "always", key, head, inner: key.length + 3, lists: new WeakMap() };
}

function encodeKey(name: string): Uint8Array {
  const writer = new ProtobufWriter(64);
  writer.string(KEY_VALUE.KEY, name);
  return writer.view();
}

function encodeResource(attributes: ResourceAttributes): Uint8Array {
  const writer = new ProtobufWriter(1024);
  const resource = writer.begin(RESOURCE_SPANS.RESOURCE);
  for (const [name, value] of Object.entries(attributes)) {
    const key = encodeKey(name);
    if (typeof value === "string") writeString(writer, RESOURCE_ATTRIBUTES, key, value);
    else if (typeof value === "number") writeInt(writer, RESOURCE_ATTRIBUTES, key, value);
    else writeList(writer, RESOURCE_ATTRIBUTES, key, value);
  }
  writer.end(resource);
  return writer.view();
}

function encodeScope(scope: Scope): Uint8Array {
  const writer = new ProtobufWriter(64);
  const message = writer.begin(SCOPE_SPANS.SCOPE);
  writer.string(SCOPE.NAME, scope.name);
  writer.string(SCOPE.VERSION, scope.version);
  writer.end(message);
  return writer.view();
}
