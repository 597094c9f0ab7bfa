/** As much of protobuf as the gateway needs to take spans out of an `ExportTraceServiceRequest`. */

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;
/** TracesData.resource_spans → ResourceSpans.scope_spans → ScopeSpans.spans (opentelemetry/proto/trace/v1/trace.proto). */
const PATH_TO_SPANS = [1, 2, 2];

interface Field {
  number: number;
  /** The field as it stands in the message, key included. */
  whole: Uint8Array;
  /** What is inside, for a field with a length. */
  inside?: Uint8Array;
}

function readVarint(bytes: Uint8Array, at: number): [value: number, end: number] {
  let value = 0;
  for (let scale = 1;; scale *= 128) {
    const byte = bytes[at++];
    if (byte === undefined) throw new RangeError("the message ends in a number");
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at];
  }
}

function* fieldsOf(message: Uint8Array): Generator<Field> {
  for (let at = 0; at < message.length;) {
    const start = at;
    const [key, afterKey] = readVarint(message, at);
    let inside: Uint8Array | undefined;
    switch (key & 7) {
      case WIRE_VARINT:
        [, at] = readVarint(message, afterKey);
        break;
      case WIRE_FIXED64:
        at = afterKey + 8;
        break;
      case WIRE_FIXED32:
        at = afterKey + 4;
        break;
      case WIRE_BYTES: {
        const [length, insideAt] = readVarint(message, afterKey);
        at = insideAt + length;
        inside = message.subarray(insideAt, at);
        break;
      }
      default:
        throw new RangeError(`wire type ${key & 7}`);
    }
    if (at > message.length) throw new RangeError("the message ends in a field");
    yield { number: key >>> 3, whole: message.subarray(start, at), inside };
  }
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 | 128);
  return [...bytes, value];
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The message again, with the spans that `keep` says, called once for each in order. */
export function filterSpans(request: Uint8Array, keep: () => boolean, path = PATH_TO_SPANS): Uint8Array<ArrayBuffer> {
  const [number, ...rest] = path;
  return concat([...fieldsOf(request)].flatMap((field) => {
    if (field.number !== number || !field.inside) return [field.whole];
    if (rest.length === 0) return keep() ? [field.whole] : [];
    const inside = filterSpans(field.inside, keep, rest);
    return [new Uint8Array([...varint(number << 3 | WIRE_BYTES), ...varint(inside.length)]), inside];
  }));
}

/** `ExportTraceServiceResponse` with a partial success. */
export function partialSuccess(rejectedSpans: number, message: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(message);
  const inside = [...rejectedSpans > 0 ? [0x08, ...varint(rejectedSpans)] : [], 0x12, ...varint(text.length), ...text];
  return new Uint8Array([0x0a, ...varint(inside.length), ...inside]);
}

/** `google.rpc.Status` with a `google.rpc.RetryInfo`, as `grpc-status-details-bin` carries it. */
export function retryStatus(code: number, seconds: number): Uint8Array<ArrayBuffer> {
  const type = new TextEncoder().encode("type.googleapis.com/google.rpc.RetryInfo");
  const delay = [0x08, ...varint(seconds)];
  const info = [0x0a, ...varint(delay.length), ...delay];
  const any = [0x0a, ...varint(type.length), ...type, 0x12, ...varint(info.length), ...info];
  return new Uint8Array([0x08, code, 0x1a, ...varint(any.length), ...any]);
}
