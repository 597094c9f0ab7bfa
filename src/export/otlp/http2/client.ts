/**
 * A client's end of HTTP/2 connections (RFC 9113), as far as requests with a body and short answers need it.
 *
 * `node:http2` of this runtime is no choice: a GOAWAY on a connection that has carried requests makes it abort the process
 * (https://github.com/denoland/deno/issues/36788).
 */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import {
  encodeFrame,
  endReason,
  ErrorCode,
  Flag,
  type Frame,
  FRAME_HEADER_BYTES,
  FrameReader,
  FrameType,
  INITIAL_WINDOW_BYTES,
  MAX_FRAME_BYTES,
  PREFACE,
  unpad,
  words,
  writeFrameHeader,
} from "./frames.ts";
import { encodeHeaders, HeaderDecoder, type HeaderField, NO_TABLE } from "./hpack.ts";
import { type Answer, Stream } from "./stream.ts";

/** Bodies go to the socket in pieces of this length, one at a time: whatever is written is copied and held. */
const BATCH_BYTES = 4 * (FRAME_HEADER_BYTES + MAX_FRAME_BYTES);
const MAX_HEADER_BYTES = 65_536;
/** What may wait to be written: a batch, headers, and answers to frames of a peer that must read if it sends. */
const MAX_UNWRITTEN_BYTES = 1 << 20;
/** Until the peer names its own limit. */
const DEFAULT_MAX_STREAMS = 100;
const FIRST_ID = 1;
const MAX_STREAM_ID = 0x7fff_ffff;

/** Settings (section 6.5.2): of ours one word and a half, of the peer's those that matter to us. */
const NO_PUSH = new Uint8Array([0, 2, 0, 0, 0, 0]);
const SETTING_BYTES = 6;
const MAX_CONCURRENT_STREAMS = 3;
const INITIAL_WINDOW_SIZE = 4;

/** One connection for many requests. */
export class ClientConnection {
  readonly #socket: Socket;
  readonly #frames = new FrameReader();
  readonly #decoder = new HeaderDecoder();
  /** By their ids, oldest first. */
  readonly #streams = new Map<number, Stream>();
  /** Requests beyond those that the peer takes at a time. */
  readonly #waiting = new Set<Stream>();
  readonly #batch = new Uint8Array(BATCH_BYTES);
  #isWriting = false;
  #isClosing = false;
  #nextId = FIRST_ID;
  #window = INITIAL_WINDOW_BYTES;
  #streamWindow = INITIAL_WINDOW_BYTES;
  #maxStreams = DEFAULT_MAX_STREAMS;
  /** Headers that go on in the next frame. */
  #block: { streamId: number; isLast: boolean; bytes: Uint8Array } | undefined;

  /** @param socket may be still connecting */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay();
    socket.on("data", (piece) => this.#receive(piece as Uint8Array));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the connection was closed before the answer")));
    socket.write(PREFACE);
    this.#send(FrameType.SETTINGS, 0, 0, NO_PUSH);
  }

  /** Whether it takes another request. */
  get isUsable(): boolean {
    return !this.#isClosing && this.#nextId <= MAX_STREAM_ID;
  }

  /**
   * Never rejects: an answer that is not whole has an `error`. `parts` of the body are not read after it has resolved, which it does
   * when `signal` aborts. Nobody knows then whether the peer is slow or gone, so the connection takes no more requests; others
   * that are under way go on.
   */
  request(headers: readonly HeaderField[], parts: readonly Uint8Array[], signal?: AbortSignal): Promise<Answer> {
    const stream = new Stream(headers, parts);
    this.#waiting.add(stream);
    const cancel = () => this.#cancel(stream, signal!.reason);
    signal?.addEventListener("abort", cancel);
    this.#open();
    return stream.settled.finally(() => signal?.removeEventListener("abort", cancel));
  }

  /** Ends when the last request has its answer. */
  close(): void {
    this.#isClosing = true;
    this.#endWhenIdle();
  }

  destroy(): void {
    this.#fail(new Error("the connection was closed before the answer"));
  }

  #open(): void {
    for (const stream of this.#waiting) {
      if (this.#streams.size >= this.#maxStreams) break;
      this.#waiting.delete(stream);
      const id = stream.id = this.#nextId;
      this.#nextId += 2;
      stream.window = this.#streamWindow;
      this.#streams.set(id, stream);
      const block = encodeHeaders(stream.headers);
      this.#sendHeaders(id, id === FIRST_ID ? Buffer.concat([NO_TABLE, block]) : block);
    }
    this.#pump();
  }

  #sendHeaders(id: number, block: Uint8Array): void {
    for (let at = 0; at < block.length; at += MAX_FRAME_BYTES) {
      const isLast = at + MAX_FRAME_BYTES >= block.length;
      const type = at === 0 ? FrameType.HEADERS : FrameType.CONTINUATION;
      this.#send(type, isLast ? Flag.END_HEADERS : 0, id, block.subarray(at, at + MAX_FRAME_BYTES));
    }
  }

  #send(type: number, flags: number, id: number, payload: Uint8Array): void {
    if (this.#socket.destroyed) return;
    if (this.#socket.writableLength > MAX_UNWRITTEN_BYTES) {
      return this.#fail(new Error("the server sends and does not read"));
    }
    this.#socket.write(encodeFrame(type, flags, id, payload));
  }

  /** Writes as much of the bodies as the peer takes, in turn. */
  #pump(): void {
    if (this.#isWriting || this.#socket.destroyed) return;
    let length = 0;
    for (let before = -1; before < length;) {
      before = length;
      for (const [id, stream] of this.#streams) length += this.#writeData(id, stream, length);
    }
    if (length === 0) return;
    this.#isWriting = true;
    this.#socket.write(this.#batch.subarray(0, length), () => {
      this.#isWriting = false;
      this.#pump();
    });
  }

  /** Puts one frame into the batch at `at`; returns its length, or 0 when none can be sent. */
  #writeData(id: number, stream: Stream, at: number): number {
    const room = this.#batch.length - at - FRAME_HEADER_BYTES;
    const length = Math.min(stream.body.left, stream.window, this.#window, MAX_FRAME_BYTES, room);
    if (length <= 0) return 0;
    stream.window -= length;
    this.#window -= length;
    stream.body.take(this.#batch.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length));
    const flags = stream.body.left === 0 ? Flag.END_STREAM : 0;
    writeFrameHeader(this.#batch, at, length, FrameType.DATA, flags, id);
    return FRAME_HEADER_BYTES + length;
  }

  #receive(piece: Uint8Array): void {
    try {
      for (const frame of this.#frames.read(piece)) this.#take(frame);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @throws {Error} when the peer breaks the rules so that nothing on the connection can be trusted any more. */
  #take(frame: Frame): void {
    const { type, flags, streamId, payload } = frame;
    if ((type === FrameType.CONTINUATION) !== (this.#block !== undefined)) throw new Error("headers are interrupted");
    switch (type) {
      case FrameType.DATA:
        return this.#takeData(frame);
      case FrameType.HEADERS:
        return this.#takeHeaders(frame, {
          streamId,
          isLast: (flags & Flag.END_STREAM) !== 0,
          bytes: unpad(frame, flags & Flag.PRIORITY ? 5 : 0),
        });
      case FrameType.CONTINUATION: {
        const { bytes, ...block } = this.#block!;
        return this.#takeHeaders(frame, { ...block, bytes: Buffer.concat([bytes, payload]) });
      }
      case FrameType.RST_STREAM: {
        const stream = this.#streams.get(streamId);
        if (stream) this.#end(stream, new Error(`the server reset the request, ${endReason(payload)}`));
        return;
      }
      case FrameType.SETTINGS:
        return flags & Flag.ACK ? undefined : this.#takeSettings(payload);
      case FrameType.PUSH_PROMISE:
        throw new Error("the server pushes, which it was told not to");
      case FrameType.PING:
        return flags & Flag.ACK ? undefined : this.#send(FrameType.PING, Flag.ACK, 0, payload);
      case FrameType.GOAWAY:
        return this.#takeGoAway(payload);
      case FrameType.WINDOW_UPDATE:
        return this.#takeWindow(streamId, payload.readUInt32BE() & 0x7fff_ffff);
    }
  }

  #takeData(frame: Frame): void {
    const { streamId, flags, payload } = frame;
    const stream = this.#streams.get(streamId);
    const isLast = (flags & Flag.END_STREAM) !== 0;
    if (payload.length > 0) {
      this.#send(FrameType.WINDOW_UPDATE, 0, 0, words(payload.length));
      if (stream && !isLast) this.#send(FrameType.WINDOW_UPDATE, 0, streamId, words(payload.length));
    }
    if (!stream) return;
    stream.takeData(unpad(frame));
    if (isLast) this.#end(stream);
  }

  #takeHeaders({ flags }: Frame, block: { streamId: number; isLast: boolean; bytes: Uint8Array }): void {
    if (block.bytes.length > MAX_HEADER_BYTES) throw new Error("the server's headers are too long");
    const isWhole = (flags & Flag.END_HEADERS) !== 0;
    this.#block = isWhole ? undefined : block;
    if (!isWhole) return;
    const { streamId, isLast } = block;
    // Also for a request that is not there any more: later headers may refer to these.
    const headers = Object.fromEntries(this.#decoder.decode(block.bytes));
    const stream = this.#streams.get(streamId);
    stream?.takeHeaders(headers);
    if (stream && isLast) this.#end(stream);
  }

  #takeSettings(payload: Buffer): void {
    for (let at = 0; at + SETTING_BYTES <= payload.length; at += SETTING_BYTES) {
      const value = payload.readUInt32BE(at + 2);
      switch (payload.readUInt16BE(at)) {
        case MAX_CONCURRENT_STREAMS:
          this.#maxStreams = value;
          break;
        case INITIAL_WINDOW_SIZE:
          // It may leave less than nothing of a window (section 6.9.2).
          for (const stream of this.#streams.values()) stream.window += value - this.#streamWindow;
          this.#streamWindow = value;
      }
    }
    this.#send(FrameType.SETTINGS, Flag.ACK, 0, new Uint8Array());
    this.#open();
  }

  #takeGoAway(payload: Buffer): void {
    this.#isClosing = true;
    const lastId = payload.readUInt32BE() & 0x7fff_ffff;
    const error = new Error(`the server goes away, ${endReason(payload.subarray(4))}`);
    for (const [id, stream] of this.#streams) if (id > lastId) this.#settle(stream, error);
    this.#settleWaiting(error);
    this.#endWhenIdle();
  }

  #takeWindow(streamId: number, bytes: number): void {
    const stream = this.#streams.get(streamId);
    if (stream) stream.window += bytes;
    else if (streamId === 0) this.#window += bytes;
    this.#pump();
  }

  /** The answer to a request has ended. */
  #end(stream: Stream, error?: Error): void {
    // A refusal may come before the request is written; nobody wants the rest of it then.
    if (!error && stream.body.left > 0) this.#reset(stream);
    this.#settle(stream, error);
    this.#open();
    this.#endWhenIdle();
  }

  #cancel(stream: Stream, reason: unknown): void {
    this.#isClosing = true;
    if (this.#streams.has(stream.id)) this.#reset(stream);
    this.#settle(stream, reason);
    // A peer that is gone takes nothing of what is still to be written.
    if (this.#isIdle) this.destroy();
    else this.#open();
  }

  #reset({ id }: Stream): void {
    this.#send(FrameType.RST_STREAM, 0, id, words(ErrorCode.CANCEL));
  }

  #settle(stream: Stream, error?: unknown): void {
    this.#streams.delete(stream.id);
    this.#waiting.delete(stream);
    stream.settle(error);
  }

  #settleWaiting(error: unknown): void {
    for (const stream of this.#waiting) this.#settle(stream, error);
  }

  get #isIdle(): boolean {
    return this.#streams.size + this.#waiting.size === 0;
  }

  #endWhenIdle(): void {
    if (!this.#isClosing || !this.#isIdle || this.#socket.destroyed) return;
    this.#send(FrameType.GOAWAY, 0, 0, words(0, ErrorCode.NO_ERROR));
    this.#socket.destroySoon();
  }

  #fail(error: unknown): void {
    this.#isClosing = true;
    this.#socket.destroy();
    for (const stream of this.#streams.values()) this.#settle(stream, error);
    this.#settleWaiting(error);
  }
}
