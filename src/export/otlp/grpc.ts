/**
 * OTLP/gRPC: unary calls of `TraceService/Export` on HTTP/2, with TLS or without
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
 */

import net from "node:net";
import tls from "node:tls";
import { grpcTimeout, judgeAnswer, MESSAGE_PREFIX_BYTES } from "./grpc_status.ts";
import { ClientConnection } from "./http2/client.ts";
import type { HeaderField } from "./http2/hpack.ts";
import { describeFailure, TlsFiles } from "./tls.ts";
import { DEFAULT_TLS, errorText, type SendResult, type Transport, type TransportOptions } from "./transport.ts";

const EXPORT_PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/** One connection for all requests, opened by the first request that finds none: the caller's backoff is the pause. */
export class GrpcTransport implements Transport {
  readonly #address: { host: string; port: number };
  readonly #headers: readonly HeaderField[];
  readonly #isCompressed: boolean;
  /** For an https endpoint. */
  readonly #files: TlsFiles | undefined;
  #connection: ClientConnection | undefined;

  /** @throws TypeError if the endpoint is no URL. */
  constructor(options: TransportOptions) {
    const { protocol, host, hostname, port } = new URL(options.endpoint);
    const isEncrypted = protocol === "https:";
    this.#address = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || (isEncrypted ? 443 : 80)) };
    this.#isCompressed = options.compression === "gzip";
    this.#files = isEncrypted ? new TlsFiles(options.tls ?? DEFAULT_TLS) : undefined;
    const own = Object.entries(options.headers).map(([name, value]) => [name.toLowerCase(), value] as const);
    const userAgent = own.some(([name]) => name === "user-agent") ? [] : [["user-agent", options.userAgent] as const];
    this.#headers = [
      [":method", "POST"],
      [":scheme", protocol.slice(0, -1)],
      [":authority", host],
      [":path", EXPORT_PATH],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
      ["grpc-timeout", grpcTimeout(options.timeoutMs)],
      ...(this.#isCompressed ? [["grpc-encoding", "gzip"] as const] : []),
      ...userAgent,
      ...own,
    ];
  }

  prepare(): void {
    this.#files?.load();
  }

  async send(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<SendResult> {
    const prefix = new Uint8Array(MESSAGE_PREFIX_BYTES);
    prefix[0] = this.#isCompressed ? 1 : 0;
    new DataView(prefix.buffer).setUint32(1, body.length);
    if (signal.aborted) return timeout(signal);
    try {
      const answer = await this.#connected().request(this.#headers, [prefix, body], signal);
      const unfinished = answer.error ?? new Error("the answer ended before it said what became of the spans");
      return judgeAnswer(answer) ??
        (signal.aborted ? timeout(signal) : { kind: "retry", ...describeFailure(unfinished) });
    } catch (error) {
      // The files for TLS cannot be used.
      return { kind: "retry", ...describeFailure(error) };
    }
  }

  close(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  /** @throws {TlsFileError} when a file that it needs cannot be used */
  #connected(): ClientConnection {
    const isOutdated = this.#files?.hasChanged(performance.now()) ?? false;
    if (this.#connection?.isUsable && !isOutdated) return this.#connection;
    this.#connection?.close();
    this.#connection = undefined;
    // A new connection means new files too: the old ones may be why the last one failed.
    const socket = this.#files
      ? tls.connect({ ...this.#address, ...this.#files.load(), ALPNProtocols: ["h2"] })
      : net.connect(this.#address);
    return this.#connection = new ClientConnection(socket);
  }
}

function timeout({ reason }: AbortSignal): SendResult {
  return { kind: "retry", code: "timeout", message: errorText(reason) };
}
