/** Header compression of HTTP/2 (HPACK, RFC 7541). */

import { decodeHuffman } from "./huffman.ts";

export type HeaderField = readonly [name: string, value: string];

/** Appendix A. */
const STATIC_TABLE: HeaderField[] = [
  ":authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|",
  ":status=200|:status=204|:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|",
  "accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|access-control-allow-origin|age|",
  "allow|authorization|cache-control|content-disposition|content-encoding|content-language|",
  "content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|",
  "host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|",
  "location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|",
  "server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate",
].join("").split("|").map((field) => {
  const [name, value = ""] = field.split("=");
  return [name, value];
});
/** Of the fields that a peer may refer to later, unless it is told otherwise; we never tell. */
const MAX_TABLE_BYTES = 4096;
/** What a field takes of that besides its text (section 4.1). */
const FIELD_OVERHEAD_BYTES = 32;

/**
 * Begins the first block of a connection: we keep no table (section 6.3). Where the peer has room for less than 4096 bytes, it takes
 * blocks that do not say so for errors (section 4.2).
 */
export const NO_TABLE: Uint8Array = new Uint8Array([0x20]);

/** Fields as literals that refer to nothing (section 6.2.2). Such a block needs no state, and a secret leaves no trace in the peer's table. */
export function encodeHeaders(fields: Iterable<readonly [name: string, value: string | number]>): Uint8Array {
  return new Uint8Array(
    [...fields].flatMap(([name, value]) => [0, ...encodeString(name), ...encodeString(String(value))]),
  );
}

function encodeString(text: string): number[] {
  const bytes = [...new TextEncoder().encode(text)];
  const length = [Math.min(bytes.length, 127)];
  if (bytes.length >= 127) {
    let rest = bytes.length - 127;
    for (; rest > 127; rest >>= 7) length.push(rest & 127 | 128);
    length.push(rest);
  }
  return [...length, ...bytes];
}

/** Reads header blocks of one connection, in their order. */
export class HeaderDecoder {
  /** Newest first. */
  readonly #table: HeaderField[] = [];
  #tableBytes = 0;
  #maxTableBytes = MAX_TABLE_BYTES;
  #block: Uint8Array = new Uint8Array();
  #at = 0;

  /** @throws {Error} when `block` is malformed; the connection is of no use then. */
  decode(block: Uint8Array): HeaderField[] {
    this.#block = block;
    this.#at = 0;
    const fields: HeaderField[] = [];
    while (this.#at < block.length) {
      const first = block[this.#at];
      if (first & 0x80) fields.push(this.#field(this.#integer(7)));
      else if (first & 0x40) fields.push(this.#remember(this.#literal(6)));
      else if (first & 0x20) this.#resize(this.#integer(5));
      else fields.push(this.#literal(4));
    }
    return fields;
  }

  #literal(prefixBits: number): HeaderField {
    const index = this.#integer(prefixBits);
    const name = index === 0 ? this.#string() : this.#field(index)[0];
    return [name, this.#string()];
  }

  #field(index: number): HeaderField {
    const field = STATIC_TABLE[index - 1] ?? this.#table[index - 1 - STATIC_TABLE.length];
    if (!field) throw new Error("a header refers to a field that is not there");
    return field;
  }

  #remember(field: HeaderField): HeaderField {
    this.#table.unshift(field);
    this.#tableBytes += sizeOf(field);
    this.#evict();
    return field;
  }

  #resize(bytes: number): void {
    if (bytes > MAX_TABLE_BYTES) throw new Error("the table of headers is larger than it may be");
    this.#maxTableBytes = bytes;
    this.#evict();
  }

  #evict(): void {
    while (this.#tableBytes > this.#maxTableBytes) this.#tableBytes -= sizeOf(this.#table.pop()!);
  }

  /** A number that begins in the last bits of a byte (section 5.1). */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0;; shift += 7) {
      if (shift > 21) throw new Error("a header has a number that is too large");
      const byte = this.#byte();
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
  }

  #string(): string {
    const isHuffman = (this.#block[this.#at] & 0x80) !== 0;
    const length = this.#integer(7);
    const end = this.#at + length;
    if (end > this.#block.length) throw new Error("a header ends within its text");
    const bytes = this.#block.subarray(this.#at, end);
    this.#at = end;
    return isHuffman ? decodeHuffman(bytes) : String.fromCharCode(...bytes);
  }

  #byte(): number {
    if (this.#at >= this.#block.length) throw new Error("a header ends within a number");
    return this.#block[this.#at++];
  }
}

function sizeOf([name, value]: HeaderField): number {
  return name.length + value.length + FIELD_OVERHEAD_BYTES;
}
