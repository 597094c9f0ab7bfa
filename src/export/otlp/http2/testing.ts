/**
 * A server's end of HTTP/2 connections for tests, frame by frame (RFC 9113), so that it can do whatever a server may do to its
 * clients. It keeps to what unary gRPC calls need: headers of requests are not read, answers fit into a client's first window.
 */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { encodeFrame, ErrorCode, Flag, type Frame, FrameReader, FrameType, PREFACE, words } from "./frames.ts";
import { encodeHeaders } from "./hpack.ts";

type Headers = Record<string, string | number>;

/** One request, and the means to answer it. */
export class Call {
  readonly connection: Connection;
  readonly id: number;
  readonly #pieces: Uint8Array[] = [];
  #state: "open" | "ended" | "gone" = "open";
  #wake = () => {};

  constructor(connection: Connection, id: number) {
    this.connection = connection;
    this.id = id;
  }

  /** Whether the client has given up or lost the connection. */
  get isGone(): boolean {
    return this.#state === "gone";
  }

  /** The request piece by piece; the client may send on as it is read. @throws {Error} when it breaks off. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      for (let piece = this.#pieces.shift(); piece; piece = this.#pieces.shift()) {
        if (this.#state === "open") this.connection.allow(this.id, piece.length);
        yield piece;
      }
      if (this.#state === "ended") return;
      if (this.#state === "gone") throw new Error("the client is gone");
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** The whole request. @throws {Error} when it breaks off. */
  async read(): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(Buffer.concat(await Array.fromAsync(this.pieces())));
  }

  /** Headers or trailers; those of the answer begin with `:status`. */
  head(headers: Headers, { end = false } = {}): void {
    const flags = Flag.END_HEADERS | (end ? Flag.END_STREAM : 0);
    this.connection.send(FrameType.HEADERS, flags, this.id, encodeHeaders(Object.entries(headers)));
  }

  write(body: Uint8Array): void {
    this.connection.send(FrameType.DATA, 0, this.id, body);
  }

  reset(code: number): void {
    this.connection.send(FrameType.RST_STREAM, 0, this.id, words(code));
  }

  /** What came for this call. */
  take(piece: Uint8Array, isLast: boolean): void {
    if (piece.length > 0) this.#pieces.push(piece);
    if (isLast) this.#state = "ended";
    this.#wake();
  }

  abandon(): void {
    this.#state = "gone";
    this.#wake();
  }
}

/** One connection, which hands each call to `handler`. */
export class Connection {
  readonly socket: Socket;
  readonly #handler: (call: Call) => unknown;
  readonly #calls = new Map<number, Call>();
  readonly #frames = new FrameReader();
  /** Bytes of the client's preface that have not come yet. */
  #missing = PREFACE.length;

  constructor(socket: Socket, handler: (call: Call) => unknown) {
    this.socket = socket;
    this.#handler = handler;
    socket.setNoDelay();
    socket.on("data", (piece) => this.#receive(piece as Uint8Array));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => {
      for (const call of this.#calls.values()) call.abandon();
    });
    this.send(FrameType.SETTINGS, 0, 0, new Uint8Array());
  }

  send(type: number, flags: number, id: number, payload: Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(encodeFrame(type, flags, id, payload));
  }

  /** Tells the client that calls after `lastId` will not be answered, and that it shall make no new ones. */
  goAway(lastId: number): void {
    this.send(FrameType.GOAWAY, 0, 0, words(lastId, ErrorCode.NO_ERROR));
  }

  /** Lets the client send so much more on a stream, or on all of them together (0). */
  allow(id: number, bytes: number): void {
    if (bytes > 0) this.send(FrameType.WINDOW_UPDATE, 0, id, words(bytes));
  }

  #receive(piece: Uint8Array): void {
    if (this.#missing > 0) {
      const preface = piece.subarray(0, this.#missing);
      this.#missing -= preface.length;
      piece = piece.subarray(preface.length);
    }
    for (const frame of this.#frames.read(piece)) this.#take(frame);
  }

  #take({ type, flags, streamId: id, payload }: Frame): void {
    const isLast = (flags & Flag.END_STREAM) !== 0;
    switch (type) {
      case FrameType.HEADERS: {
        const call = new Call(this, id);
        this.#calls.set(id, call);
        if (isLast) call.take(payload.subarray(0, 0), true);
        return void this.#handler(call);
      }
      case FrameType.DATA:
        this.allow(0, payload.length);
        return this.#calls.get(id)?.take(payload, isLast);
      case FrameType.RST_STREAM:
        return this.#calls.get(id)?.abandon();
      case FrameType.SETTINGS:
      case FrameType.PING:
        if ((flags & Flag.ACK) === 0) {
          this.send(type, Flag.ACK, 0, type === FrameType.PING ? payload : new Uint8Array());
        }
    }
  }
}
