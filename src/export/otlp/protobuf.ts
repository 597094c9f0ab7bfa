/** The part of protobuf that OTLP needs (https://protobuf.dev/programming-guides/encoding). */

import { ByteWriter } from "./byte_writer.ts";

/** Wire types, the low three bits of a tag. */
export const WireType = { VARINT: 0, I64: 1, LEN: 2, I32: 5 } as const;

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

/** Appends protobuf fields. */
export class ProtobufWriter extends ByteWriter {
  /** Starts a field with a length; returns the mark for `end()`. A guess of 2 `lengthBytes` fits 128 to 16383 bytes. */
  begin(tag: number, lengthBytes = 1): number {
    this.reserve(1 + lengthBytes);
    this.buffer[this.at] = tag;
    this.at += 1 + lengthBytes;
    return this.at;
  }

  /** Sets the length of the field that began at `mark`; content moves only when the guess at its length was wrong. */
  end(mark: number, lengthBytes = 1): void {
    const length = this.at - mark;
    if (lengthBytes === 1 && length < 128) this.buffer[mark - 1] = length;
    else this.#setLongLength(mark, length, lengthBytes);
  }

  /** `value` is a safe integer, not negative. */
  varint(tag: number, value: number): void {
    this.reserve(11);
    const bytes = this.buffer;
    bytes[this.at] = tag;
    this.at = putVarint(bytes, this.at + 1, value);
  }

  /**
   * Appends a field that always begins alike: `head`, then `value` as a varint. The bytes of `head` at 1 and at `inner`
   * are set to the lengths of what follows each of them, which must be below 128.
   */
  headedVarint(head: Uint8Array, inner: number, value: number): void {
    this.reserve(head.length + 10);
    this.#endHeaded(this.#putHead(head), putVarint(this.buffer, this.at + head.length, value), inner);
  }

  /**
   * The same with a text whose length is the last byte of `head`. Returns false, and appends nothing, when the text has
   * other than ASCII characters or makes the lengths too great.
   */
  headedString(head: Uint8Array, inner: number, value: string): boolean {
    const length = value.length;
    if (head.length + length > 128) return false;
    this.reserve(head.length + length);
    const start = this.#putHead(head);
    const bytes = this.buffer;
    const from = start + head.length;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) return false;
      bytes[from + i] = code;
    }
    bytes[from - 1] = length;
    this.#endHeaded(start, from + length, inner);
    return true;
  }

  /** Writes behind what is there, without counting it as written yet. */
  #putHead(head: Uint8Array): number {
    const bytes = this.buffer;
    const start = this.at;
    for (let i = 0; i < head.length; i++) bytes[start + i] = head[i];
    return start;
  }

  #endHeaded(start: number, end: number, inner: number): void {
    this.buffer[start + 1] = end - start - 2;
    this.buffer[start + inner] = end - start - inner - 1;
    this.at = end;
  }

  fixed64(tag: number, low: number, high: number): void {
    this.reserve(9);
    const bytes = this.buffer;
    let at = this.at;
    bytes[at++] = tag;
    for (let shift = 0; shift < 32; shift += 8) bytes[at++] = low >>> shift;
    for (let shift = 0; shift < 32; shift += 8) bytes[at++] = high >>> shift;
    this.at = at;
  }

  bytes(tag: number, value: Uint8Array): void {
    const mark = this.begin(tag);
    this.raw(value);
    this.end(mark);
  }

  string(tag: number, value: string): void {
    const mark = this.begin(tag);
    this.text(value);
    this.end(mark);
  }

  #setLongLength(mark: number, length: number, guessedBytes: number): void {
    const neededBytes = varintLength(length);
    const shift = neededBytes - guessedBytes;
    if (shift !== 0) {
      this.reserve(Math.max(shift, 0));
      this.buffer.copyWithin(mark + shift, mark, this.at);
      this.at += shift;
    }
    putVarint(this.buffer, mark - guessedBytes, length);
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
