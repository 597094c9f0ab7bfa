/**
 * OTLP/gRPC: unary calls of `TraceService/Export` on plain HTTP/2
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
 *
 * A request is written in pieces that wait for the connection: written at once, all of it would be copied and held.
 */

import { Buffer } from "node:buffer";
import http2 from "node:http2";
import { type Answer, grpcTimeout, judgeAnswer, MESSAGE_PREFIX_BYTES } from "./grpc_status.ts";
import { errorText, type SendResult, type Transport, type TransportOptions } from "./transport.ts";

const EXPORT_PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PIECE_BYTES = 32_768;
/**
 * The runtime keeps the buffer of a stream that has ended, 64 KiB or more, until a full garbage collection. V8 doesn't see
 * these bytes, so it must be told. It takes about 7 ms.
 */
const STREAMS_PER_COLLECTION = 64;
/** Answers are kept to this length; the rest is thrown away. */
const MAX_ANSWER_BYTES = 65_536;

/** One session for all requests, opened by the first request that finds none: the caller's backoff is the pause. */
export class GrpcTransport implements Transport {
  readonly #origin: string;
  readonly #headers: http2.OutgoingHttpHeaders;
  #session: http2.ClientHttp2Session | undefined;
  #streams = 0;

  /** @throws TypeError if the endpoint is no URL. */
  constructor(options: TransportOptions) {
    const { protocol, host } = new URL(options.endpoint);
    this.#origin = `${protocol}//${host}`;
    const headers = Object.entries(options.headers).map(([name, value]) => [name.toLowerCase(), value]);
    this.#headers = {
      "user-agent": options.userAgent,
      ...Object.fromEntries(headers),
      ":method": "POST",
      ":path": EXPORT_PATH,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": grpcTimeout(options.timeoutMs),
    };
  }

  send(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<SendResult> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve({ kind: "retry", code: "timeout", message: errorText(signal.reason) });
      try {
        if (++this.#streams % STREAMS_PER_COLLECTION === 0) collectGarbage();
        const stream = this.#connected().request(this.#headers);
        this.#follow(stream, signal, resolve);
        writePieces(stream, body);
      } catch (error) {
        // A session that has begun to close refuses new streams by throwing.
        this.close();
        resolve({ kind: "retry", code: "network", message: errorText(error) });
      }
    });
  }

  close(): void {
    this.#session?.destroy();
    this.#session = undefined;
  }

  /** Resolves with what becomes of `stream`: an answer, the end of the connection, or the signal, whatever is first. */
  #follow(stream: http2.ClientHttp2Stream, signal: AbortSignal, resolve: (result: SendResult) => void): void {
    const answer: Answer = { headers: {}, trailers: {}, pieces: [] };
    let answerBytes = 0;
    let failure = "the connection was closed before the answer";
    const settle = (result: SendResult) => {
      signal.removeEventListener("abort", giveUp);
      resolve(result);
    };
    const giveUp = () => {
      settle({ kind: "retry", code: "timeout", message: errorText(signal.reason) });
      // Nobody knows whether the peer is slow or gone, so the next request gets a connection of its own.
      this.close();
    };
    signal.addEventListener("abort", giveUp);
    stream.on("response", (headers) => answer.headers = headers);
    stream.on("trailers", (trailers) => answer.trailers = trailers);
    stream.on("data", (piece: Uint8Array) => {
      answerBytes += piece.length;
      if (answerBytes <= MAX_ANSWER_BYTES) answer.pieces.push(piece);
    });
    stream.on("error", (error) => failure = errorText(error));
    stream.on("end", () => {
      const result = judgeAnswer(answer);
      if (result === undefined) return;
      settle(result);
      // A refusal may come before the request is written; nobody wants the rest of it then.
      if (!stream.writableFinished) stream.close(http2.constants.NGHTTP2_CANCEL);
    });
    stream.on("close", () => settle(judgeAnswer(answer) ?? { kind: "retry", code: "network", message: failure }));
  }

  #connected(): http2.ClientHttp2Session {
    const current = this.#session;
    if (current !== undefined && !current.closed && !current.destroyed) return current;
    const session = http2.connect(this.#origin, { settings: { enablePush: false } });
    const forget = () => {
      if (this.#session === session) this.#session = undefined;
    };
    session.on("goaway", () => {
      // Streams that the peer has begun may end; new ones need a new session.
      forget();
      session.close();
    });
    // Each stream of the session reports the error; without a listener it would end the process.
    session.on("error", forget);
    session.on("close", forget);
    return this.#session = session;
  }
}

/** Works under V8's flag `--expose-gc`, which `tools/mermin` sets. */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

function writePieces(stream: http2.ClientHttp2Stream, body: Uint8Array<ArrayBuffer>): void {
  const prefix = Buffer.alloc(MESSAGE_PREFIX_BYTES);
  prefix.writeUInt32BE(body.length, 1);
  stream.write(prefix);
  let at = 0;
  const proceed = () => {
    while (at < body.length) {
      if (stream.destroyed || stream.closed) return;
      const length = Math.min(PIECE_BYTES, body.length - at);
      const hasRoom = stream.write(Buffer.from(body.buffer, body.byteOffset + at, length));
      at += length;
      if (!hasRoom) return void stream.once("drain", proceed);
    }
    stream.end();
  };
  proceed();
}
