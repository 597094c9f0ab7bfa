/** The part of protobuf that OTLP needs (https://protobuf.dev/programming-guides/encoding). */

/** Wire types, the low three bits of a tag. */
export const WireType = { VARINT: 0, I64: 1, LEN: 2, I32: 5 } as const;

/** Longest copy that is faster as a loop than as a call of `TypedArray.set`. */
const SHORT_COPY_BYTES = 48;
const UTF8 = new TextEncoder();

/** One-byte tag of a field; field numbers above 15 are not used here. */
export function tag(field: number, wireType: number): number {
  return (field << 3) | wireType;
}

/** Bytes of `value` (a safe integer, not negative) as a varint. */
export function varintLength(value: number): number {
  let length = 1;
  for (; value > 127; value = Math.floor(value / 128)) length++;
  return length;
}

/** Appends protobuf fields to one buffer that grows by doubling and is used again after `reset()`. */
export class ProtobufWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacityBytes: number) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  get capacityBytes(): number {
    return this.#bytes.length;
  }

  /** Forgets the content after the first `length` bytes; the buffer stays. */
  reset(length = 0): void {
    this.#length = 0;
    this.#reserve(length);
    this.#length = length;
  }

  /** A view, valid until the next write. */
  view(start = 0): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(start, this.#length);
  }

  /** Writes `bytes` over what stands at `position`. */
  overwrite(position: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, position);
  }

  raw(source: Uint8Array): void {
    const length = source.length;
    this.#reserve(length);
    if (length <= SHORT_COPY_BYTES) {
      const bytes = this.#bytes;
      const start = this.#length;
      for (let i = 0; i < length; i++) bytes[start + i] = source[i];
    } else {
      this.#bytes.set(source, this.#length);
    }
    this.#length += length;
  }

  /** Starts a field with a length; returns the mark for `end()`. A guess of 2 `lengthBytes` fits 128 to 16383 bytes. */
  begin(tag: number, lengthBytes = 1): number {
    this.#reserve(1 + lengthBytes);
    this.#bytes[this.#length] = tag;
    this.#length += 1 + lengthBytes;
    return this.#length;
  }

  /** Sets the length of the field that began at `mark`; content moves only when the guess at its length was wrong. */
  end(mark: number, lengthBytes = 1): void {
    const length = this.#length - mark;
    if (lengthBytes === 1 && length < 128) this.#bytes[mark - 1] = length;
    else this.#setLongLength(mark, length, lengthBytes);
  }

  /** `value` is a safe integer, not negative. */
  varint(tag: number, value: number): void {
    this.#reserve(11);
    const bytes = this.#bytes;
    bytes[this.#length] = tag;
    this.#length = putVarint(bytes, this.#length + 1, value);
  }

  fixed64(tag: number, low: number, high: number): void {
    this.#reserve(9);
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = tag;
    for (let shift = 0; shift < 32; shift += 8) bytes[at++] = low >>> shift;
    for (let shift = 0; shift < 32; shift += 8) bytes[at++] = high >>> shift;
    this.#length = at;
  }

  bytes(tag: number, value: Uint8Array): void {
    const mark = this.begin(tag);
    this.raw(value);
    this.end(mark);
  }

  string(tag: number, value: string): void {
    const mark = this.begin(tag);
    if (!this.#ascii(value)) this.raw(UTF8.encode(value));
    this.end(mark);
  }

  /** Nearly all strings here are short ASCII: a loop beats the call into the text encoder. */
  #ascii(value: string): boolean {
    const length = value.length;
    this.#reserve(length);
    const bytes = this.#bytes;
    const start = this.#length;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) return false;
      bytes[start + i] = code;
    }
    this.#length = start + length;
    return true;
  }

  #setLongLength(mark: number, length: number, guessedBytes: number): void {
    const neededBytes = varintLength(length);
    const shift = neededBytes - guessedBytes;
    if (shift !== 0) {
      this.#reserve(Math.max(shift, 0));
      this.#bytes.copyWithin(mark + shift, mark, this.#length);
      this.#length += shift;
    }
    putVarint(this.#bytes, mark - guessedBytes, length);
  }

  #reserve(more: number): void {
    if (this.#length + more > this.#bytes.length) this.#grow(this.#length + more);
  }

  #grow(neededBytes: number): void {
    const larger = new Uint8Array(Math.max(neededBytes, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

function putVarint(bytes: Uint8Array, at: number, value: number): number {
  // Bit operations know 32 bits only; counters go to 2^53.
  while (value > 0x7fffffff) {
    bytes[at++] = (value % 128) | 128;
    value = Math.floor(value / 128);
  }
  while (value > 127) {
    bytes[at++] = value | 128;
    value >>>= 7;
  }
  bytes[at++] = value;
  return at;
}

/** One field of a message: `value` of a varint, `bytes` of every other wire type. */
export interface ProtobufField {
  readonly number: number;
  readonly value: number;
  readonly bytes: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

/**
 * Reads the fields of one message. Varints above 2^53 lose their low bits.
 *
 * @throws RangeError if `message` is not a whole protobuf message.
 */
export function* protobufFields(message: Uint8Array): Generator<ProtobufField> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      if (at >= message.length) break;
      const byte = message[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError(`Cannot read protobuf: no varint ends at byte ${at}`);
  };
  const take = (length: number) => {
    if (length > message.length - at) throw new RangeError(`Cannot read protobuf: it is cut off at byte ${at}`);
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    switch (key % 8) {
      case WireType.VARINT:
        yield { number, value: varint(), bytes: NO_BYTES };
        break;
      case WireType.I64:
        yield { number, value: 0, bytes: take(8) };
        break;
      case WireType.LEN:
        yield { number, value: 0, bytes: take(varint()) };
        break;
      case WireType.I32:
        yield { number, value: 0, bytes: take(4) };
        break;
      default:
        throw new RangeError(`Cannot read protobuf: wire type ${key % 8} is not in use`);
    }
  }
}
