/** Frames of HTTP/2 (RFC 9113, section 4), for both ends of a connection. */

import { Buffer } from "node:buffer";

export const PREFACE: Uint8Array = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
export const FRAME_HEADER_BYTES = 9;
/** What a peer may send in one frame unless it is told otherwise; we never tell. */
export const MAX_FRAME_BYTES = 16_384;
/** What may be sent on a connection, and on each of its streams, before the peer says more. */
export const INITIAL_WINDOW_BYTES = 65_535;

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const Flag = { ACK: 1, END_STREAM: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

export const ErrorCode = { NO_ERROR: 0, REFUSED_STREAM: 7, CANCEL: 8 } as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** 0 for the connection. */
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Writes the header of a frame at `at`. */
export function writeFrameHeader(
  into: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  const view = new DataView(into.buffer, into.byteOffset + at, FRAME_HEADER_BYTES);
  view.setUint32(0, length << 8 | type);
  view.setUint8(4, flags);
  view.setUint32(5, streamId);
}

export function encodeFrame(type: number, flags: number, streamId: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(frame, 0, payload.length, type, flags, streamId);
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/** 32-bit words in network order, which most payloads are made of. */
export function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value));
  return bytes;
}

/** The payload without its padding and without `skip` bytes at its front. @throws {Error} when it is shorter. */
export function unpad({ flags, payload }: Frame, skip = 0): Uint8Array {
  const isPadded = (flags & Flag.PADDED) !== 0;
  const start = skip + (isPadded ? 1 : 0);
  const end = payload.length - (isPadded ? payload[0] : 0);
  if (start > end) throw new Error("a frame has more padding than bytes");
  return payload.subarray(start, end);
}

/** What RST_STREAM and GOAWAY give as their reason: an error code (section 7), and the remark that may follow it. */
export function endReason(payload: Buffer): string {
  const remark = payload.subarray(4).toString();
  return `code ${payload.readUInt32BE()}${remark ? ` (${remark})` : ""}`;
}

/** Cuts what comes from a peer into frames. */
export class FrameReader {
  #unread: Buffer = Buffer.alloc(0);

  /** The frames that are whole after `piece`. @throws {Error} when one is longer than it may be. */
  *read(piece: Uint8Array): Generator<Frame> {
    this.#unread = Buffer.concat([this.#unread, piece]);
    while (this.#unread.length >= FRAME_HEADER_BYTES) {
      const bytes = this.#unread;
      const length = bytes.readUIntBE(0, 3);
      if (length > MAX_FRAME_BYTES) throw new Error("what came is not HTTP/2, or a frame is too long");
      const end = FRAME_HEADER_BYTES + length;
      if (bytes.length < end) return;
      this.#unread = bytes.subarray(end);
      yield {
        type: bytes[3],
        flags: bytes[4],
        streamId: bytes.readUInt32BE(5) & 0x7fff_ffff,
        payload: bytes.subarray(FRAME_HEADER_BYTES, end),
      };
    }
  }
}
