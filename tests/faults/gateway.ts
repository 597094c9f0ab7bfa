/** A gateway in front of a real Collector that fails in the ways in which collectors fail, over gRPC and HTTP. */

import { Buffer } from "node:buffer";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import tls from "node:tls";
import { Connection } from "../../src/export/otlp/http2/testing.ts";
import type { Certificate } from "../harness/certificates.ts";
import { filterSpans, partialSuccess, retryStatus } from "./requests.ts";

/** What the gateway does with each request that it has read. */
export type Behaviour =
  /** Passes it on and answers as the Collector does. */
  | { kind: "pass" }
  /** Never answers; what `passes` says also reaches the Collector. */
  | { kind: "hang"; passes: boolean }
  /** Answers with a status (HTTP 429, 503, 400; gRPC's counterparts). */
  | { kind: "status"; status: 400 | 429 | 503; retryAfterSeconds?: number }
  /** Passes on every second span and says that it rejects the others. */
  | { kind: "partial" }
  /** Ends the connection in the middle of the request, or after it was passed on but not answered. */
  | { kind: "cut"; when: "in the request" | "before the answer" };

/** What was asked of it. */
export interface GatewayStats {
  requests: number;
  /** Spans that it told the sender to be rejected. */
  rejected: number;
  /** When requests came, `performance.now()`. */
  times: number[];
}

const GRPC_STATUS = { 400: 3, 429: 8, 503: 14 };
const PREFIX_BYTES = 5;
const CUT_AFTER_BYTES = 1000;

type Body = Uint8Array<ArrayBuffer>;

/** How one request is answered, whatever the protocol. */
interface Reply {
  answer(message: Body): void;
  fail(status: 400 | 429 | 503, retryAfterSeconds?: number): void;
  /** Whether nobody is there any more to take it. */
  isGone(): boolean;
}

export class Gateway implements AsyncDisposable {
  behaviour: Behaviour = { kind: "pass" };
  /** What it shows to prove who it is; changed between {@linkcode refuse} and {@linkcode open}. */
  certificate: Certificate | undefined;
  readonly stats: GatewayStats = { requests: 0, rejected: 0, times: [] };
  readonly #target: string;
  readonly #protocol: "grpc" | "http_binary";
  readonly #sockets = new Set<Socket>();
  readonly #serve: (socket: Socket) => void;
  #listener: net.Server | undefined;
  #port = 0;

  private constructor(protocol: "grpc" | "http_binary", target: string) {
    this.#protocol = protocol;
    this.#target = target;
    this.#serve = protocol === "grpc" ? (socket) => this.#serveGrpc(socket) : this.#httpServer();
  }

  /** A gateway to the OTLP/HTTP endpoint `target` of a Collector, whatever it speaks itself; encrypted with a certificate. */
  static async start(protocol: "grpc" | "http_binary", target: string, certificate?: Certificate): Promise<Gateway> {
    const gateway = new Gateway(protocol, target);
    gateway.certificate = certificate;
    await gateway.open();
    return gateway;
  }

  get endpoint(): string {
    return `${this.certificate ? "https" : "http"}://127.0.0.1:${this.#port}`;
  }

  /** Takes connections, on the same port as before. */
  async open(): Promise<void> {
    const secure = this.certificate && tls.createServer(await this.#tlsOptions(this.certificate), this.#serve);
    secure?.on("tlsClientError", () => {}); // a client that does not trust us
    const listener = net.createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {}); // "close" follows
      if (secure) secure.emit("connection", socket);
      else this.#serve(socket);
    });
    listener.listen(this.#port, "127.0.0.1");
    await once(listener, "listening");
    this.#port = (listener.address() as AddressInfo).port;
    this.#listener = listener;
  }

  async #tlsOptions({ cert, key }: Certificate): Promise<tls.TlsOptions> {
    return {
      cert: await Deno.readTextFile(cert),
      key: await Deno.readTextFile(key),
      ALPNProtocols: [this.#protocol === "grpc" ? "h2" : "http/1.1"],
    };
  }

  /** Refuses connections and ends those there are. */
  async refuse(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    if (!listener) return;
    const closed = once(listener, "close");
    listener.close();
    this.#cut();
    await closed;
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #httpServer(): (socket: Socket) => void {
    const server = http.createServer((request, response) => {
      const reply: Reply = {
        answer: (message) => response.writeHead(200, { "content-type": "application/x-protobuf" }).end(message),
        fail: (status, seconds) => {
          const headers = seconds === undefined ? {} : { "retry-after": String(seconds) };
          response.writeHead(status, headers).end("the gateway was told to fail");
        },
        isGone: () => response.destroyed,
      };
      this.#take(complete(request), reply);
    });
    return (socket) => server.emit("connection", socket);
  }

  #serveGrpc(socket: Socket): void {
    new Connection(socket, (call) => {
      const headers = { ":status": 200, "content-type": "application/grpc" };
      const reply: Reply = {
        answer: (message) => {
          const prefix = new Uint8Array(PREFIX_BYTES);
          new DataView(prefix.buffer).setUint32(1, message.length);
          call.head(headers);
          call.write(new Uint8Array([...prefix, ...message]));
          call.head({ "grpc-status": 0 }, { end: true });
        },
        fail: (httpStatus, seconds) => {
          const code = GRPC_STATUS[httpStatus];
          const details = seconds === undefined ? "" : retryStatus(code, seconds).toBase64();
          const status = { "grpc-status": code, "grpc-message": "the gateway was told to fail" };
          call.head({ ...headers, ...status, "grpc-status-details-bin": details }, { end: true });
        },
        isGone: () => call.isGone,
      };
      this.#take(call.pieces(), reply, PREFIX_BYTES);
    });
  }

  /** Reads a request to its end and does with it as it was told when the request began. */
  async #take(pieces: AsyncIterable<Uint8Array>, reply: Reply, prefixBytes = 0): Promise<void> {
    this.stats.requests++;
    this.stats.times.push(performance.now());
    const { behaviour } = this;
    const body = await this.#read(pieces, behaviour).catch(() => undefined); // the client is gone
    if (body) await this.#behave(behaviour, body.subarray(prefixBytes), whileThere(reply));
  }

  async #read(pieces: AsyncIterable<Uint8Array>, behaviour: Behaviour): Promise<Body> {
    const read: Uint8Array[] = [];
    let length = 0;
    for await (const piece of pieces) {
      read.push(piece);
      length += piece.length;
      if (behaviour.kind === "cut" && behaviour.when === "in the request" && length > CUT_AFTER_BYTES) this.#cut();
    }
    return new Uint8Array(Buffer.concat(read));
  }

  async #behave(behaviour: Behaviour, body: Body, reply: Reply): Promise<void> {
    switch (behaviour.kind) {
      case "pass":
        return reply.answer(await this.#pass(body));
      case "hang":
        if (behaviour.passes) await this.#pass(body);
        return;
      case "status":
        return reply.fail(behaviour.status, behaviour.retryAfterSeconds);
      case "partial": {
        let spans = 0;
        await this.#pass(filterSpans(body, () => spans++ % 2 === 0));
        const rejected = Math.floor(spans / 2);
        this.stats.rejected += rejected;
        return reply.answer(partialSuccess(rejected, "every second one is one too many"));
      }
      case "cut":
        // In the request: it was cut already.
        if (behaviour.when === "before the answer") {
          await this.#pass(body);
          this.#cut();
        }
    }
  }

  async #pass(body: Body): Promise<Body> {
    const headers = { "content-type": "application/x-protobuf" };
    const response = await fetch(`${this.#target}/v1/traces`, { method: "POST", headers, body });
    const answer = new Uint8Array(await response.arrayBuffer());
    if (!response.ok) throw new Error(`the Collector answered ${response.status}`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse();
  }
}

/** What comes of `request`. @throws {Error} when it breaks off. */
async function* complete(request: http.IncomingMessage): AsyncGenerator<Uint8Array> {
  yield* request;
  if (!request.complete) throw new Error("the client is gone");
}

/** The same reply, which says nothing when nobody listens any more. */
function whileThere(reply: Reply): Reply {
  return {
    answer: (message) => {
      if (!reply.isGone()) reply.answer(message);
    },
    fail: (status, retryAfterSeconds) => {
      if (!reply.isGone()) reply.fail(status, retryAfterSeconds);
    },
    isGone: reply.isGone,
  };
}
