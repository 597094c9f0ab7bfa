/** Compression of requests. */

import { Buffer } from "node:buffer";
import zlib from "node:zlib";

/** Spans repeat themselves so much that a higher level costs three times the CPU for an eighth of the bytes. */
const LEVEL = 1;

/** `request` in gzip format (RFC 1952). Blocks: about 0.6 ms for 512 spans, less than the way to a thread and back. */
export function gzip(request: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, length } = zlib.gzipSync(
    Buffer.from(request.buffer, request.byteOffset, request.length),
    {
      level: LEVEL,
    },
  );
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, length);
}
