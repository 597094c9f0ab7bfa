/** Bytes that grow, for the encoders of requests. */

/** Longest copy that is faster as a loop than as a call of `TypedArray.set`. */
const SHORT_COPY_BYTES = 48;
const UTF8 = new TextEncoder();
const HEX_DIGITS = UTF8.encode("0123456789abcdef");
const DIGIT_0 = "0".charCodeAt(0);
const QUOTE = '"'.charCodeAt(0);
const BACKSLASH = "\\".charCodeAt(0);
const SPACE = " ".charCodeAt(0);
const MAX_INT31 = 2 ** 31 - 1;
/** Decimal digits of a 32-bit number, at most. */
const MAX_DIGITS = 10;

/** Appends to one buffer that grows by doubling and is used again after `reset()`. */
export class ByteWriter {
  protected buffer: Uint8Array<ArrayBuffer>;
  /** Where the next byte is written. */
  protected at = 0;

  constructor(capacityBytes: number) {
    this.buffer = new Uint8Array(capacityBytes);
  }

  get length(): number {
    return this.at;
  }

  get capacityBytes(): number {
    return this.buffer.length;
  }

  /** Forgets the content after the first `length` bytes; the buffer stays. */
  reset(length = 0): void {
    this.at = 0;
    this.reserve(length);
    this.at = length;
  }

  /** A view, valid until the next write. */
  view(start = 0): Uint8Array<ArrayBuffer> {
    return this.buffer.subarray(start, this.at);
  }

  /** Writes `bytes` over what stands at `position`. */
  overwrite(position: number, bytes: Uint8Array): void {
    this.buffer.set(bytes, position);
  }

  raw(source: Uint8Array): void {
    const length = source.length;
    this.reserve(length);
    if (length <= SHORT_COPY_BYTES) {
      const bytes = this.buffer;
      const start = this.at;
      for (let i = 0; i < length; i++) bytes[start + i] = source[i];
    } else {
      this.buffer.set(source, this.at);
    }
    this.at += length;
  }

  /** Appends `value` in UTF-8. Nearly all texts here are short ASCII: a loop beats the call into the text encoder. */
  text(value: string): void {
    const length = value.length;
    this.reserve(length);
    const bytes = this.buffer;
    const start = this.at;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) return this.raw(UTF8.encode(value));
      bytes[start + i] = code;
    }
    this.at = start + length;
  }

  /** Appends `value` as JSON, with its quotes. */
  json(value: string): void {
    const length = value.length;
    this.reserve(length + 2);
    const bytes = this.buffer;
    const start = this.at;
    bytes[start] = QUOTE;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code < SPACE || code > 126 || code === QUOTE || code === BACKSLASH) return this.text(JSON.stringify(value));
      bytes[start + 1 + i] = code;
    }
    bytes[start + 1 + length] = QUOTE;
    this.at = start + length + 2;
  }

  /** Appends a safe integer, not negative, as decimal digits. */
  decimal(value: number): void {
    if (value > MAX_INT31) return this.text(String(value));
    this.reserve(MAX_DIGITS);
    let digits = 1;
    for (let limit = 10; limit <= value; limit *= 10) digits++;
    const bytes = this.buffer;
    let rest = value | 0;
    for (let i = this.at + digits - 1; i >= this.at; i--) {
      const tenth = (rest / 10) | 0;
      bytes[i] = DIGIT_0 + rest - tenth * 10;
      rest = tenth;
    }
    this.at += digits;
  }

  /** Appends two hexadecimal digits for each byte of `source`. */
  hex(source: Uint8Array): void {
    this.reserve(source.length * 2);
    const bytes = this.buffer;
    for (let i = 0; i < source.length; i++) {
      bytes[this.at++] = HEX_DIGITS[source[i] >> 4];
      bytes[this.at++] = HEX_DIGITS[source[i] & 15];
    }
  }

  protected reserve(more: number): void {
    if (this.at + more > this.buffer.length) this.#grow(this.at + more);
  }

  #grow(neededBytes: number): void {
    const larger = new Uint8Array(Math.max(neededBytes, this.buffer.length * 2));
    larger.set(this.buffer.subarray(0, this.at));
    this.buffer = larger;
  }
}
