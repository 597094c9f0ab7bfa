import { deepEqual, equal } from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { GrpcTransport } from "./grpc.ts";
import type { SendResult } from "./transport.ts";

/** An answer with a `partial_success` of 3 rejected spans and the remark "no". */
const PARTIAL = Uint8Array.fromHex("0000000008" + "0a06080312026e6f");
const BODY = new Uint8Array(300_000).map((_, i) => i % 251);

type Handler = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

/** A gRPC server that hands each call to `handler`; counts connections. */
class FakeServer implements AsyncDisposable {
  connections = 0;
  readonly sessions = new Set<http2.ServerHttp2Session>();
  readonly #server: http2.Http2Server;

  private constructor(handler: Handler) {
    this.#server = http2.createServer();
    this.#server.on("session", (session) => {
      this.connections++;
      this.sessions.add(session);
      session.on("close", () => this.sessions.delete(session));
    });
    this.#server.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      handler(stream, headers);
    });
  }

  static async start(handler: Handler): Promise<FakeServer> {
    const server = new FakeServer(handler);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.sessions) session.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const transportTo = (endpoint: string) =>
  new GrpcTransport({ endpoint, headers: { "X-Tenant": "a" }, timeoutMs: 7000, userAgent: "mermin/0.1.0" });

const forever = () => new AbortController().signal;

const OK: Handler = (stream) => {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.resume();
  stream.on("end", () => stream.end(PARTIAL));
};

const DELIVERED = { kind: "delivered", rejectedSpans: 3, message: "no" };

Deno.test("GrpcTransport.send() makes a unary call and reads its answer", async () => {
  let seen: unknown[] = [];
  const pieces: Uint8Array[] = [];
  await using server = await FakeServer.start((stream, headers) => {
    const names = [":method", ":path", "content-type", "te", "grpc-timeout", "user-agent", "x-tenant"];
    seen = names.map((name) => headers[name]);
    stream.on("data", (piece: Uint8Array) => pieces.push(piece));
    OK(stream, headers);
  });
  const transport = transportTo(server.endpoint);
  deepEqual(await transport.send(BODY, forever()), DELIVERED);
  transport.close();
  const path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
  deepEqual(seen, ["POST", path, "application/grpc", "trailers", "7000m", "mermin/0.1.0", "a"]);
  const received = new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
  equal(received.subarray(0, 5).toHex(), "00000493e0");
  equal(received.subarray(5).toHex(), BODY.toHex());
});

Deno.test("GrpcTransport.send() uses one connection for many calls, also at the same time", async () => {
  await using server = await FakeServer.start(OK);
  const transport = transportTo(server.endpoint);
  await transport.send(BODY, forever());
  const results = await Promise.all(Array.from({ length: 5 }, () => transport.send(BODY, forever())));
  transport.close();
  deepEqual(results, Array(5).fill(DELIVERED));
  equal(server.connections, 1);
});

const FAILURES: [name: string, handler: Handler, result: SendResult][] = [
  [
    "trailers only",
    (stream) => {
      stream.respond({ ":status": 200, "grpc-status": "3", "grpc-message": "bad%20data" }, { endStream: true });
      stream.resume();
    },
    { kind: "refused", code: "grpc_invalid_argument", message: "bad data" },
  ],
  [
    "a refusal before the request is read",
    (stream) =>
      stream.respond({ ":status": 200, "grpc-status": "8", "grpc-message": "too large" }, { endStream: true }),
    { kind: "refused", code: "grpc_resource_exhausted", message: "too large" },
  ],
  [
    "a proxy's error page",
    (stream) => {
      stream.respond({ ":status": 503, "content-type": "text/html" });
      stream.resume();
      stream.end("<h1>away</h1>");
    },
    { kind: "retry", code: "grpc_unavailable", message: "HTTP status 503", retryAfterMs: undefined },
  ],
];

for (const [name, handler, result] of FAILURES) {
  Deno.test(`GrpcTransport.send() understands ${name}, and goes on`, async () => {
    let calls = 0;
    await using server = await FakeServer.start((stream, headers) => (calls++ ? OK : handler)(stream, headers));
    const transport = transportTo(server.endpoint);
    deepEqual(await transport.send(BODY, forever()), result);
    deepEqual(await transport.send(BODY, forever()), DELIVERED);
    transport.close();
  });
}

const ENDS: [name: string, handler: Handler][] = [
  ["the stream is reset", (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)],
  ["the connection is cut", (stream) => stream.session?.destroy()],
  ["the server goes away", (stream) => {
    stream.session?.goaway(http2.constants.NGHTTP2_NO_ERROR, 0);
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  }],
  ["the answer breaks off", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.write(PARTIAL.subarray(0, 7));
    setTimeout(() => stream.session?.destroy(), 10);
  }],
];

for (const [name, handler] of ENDS) {
  Deno.test(`GrpcTransport.send() is worth another try when ${name}, which then succeeds`, async () => {
    let calls = 0;
    await using server = await FakeServer.start((stream, headers) => (calls++ ? OK : handler)(stream, headers));
    const transport = transportTo(server.endpoint);
    const result = await transport.send(BODY, forever());
    deepEqual([result.kind, result.kind === "retry" && result.code], ["retry", "network"]);
    deepEqual(await transport.send(BODY, forever()), DELIVERED);
    transport.close();
  });
}

Deno.test("GrpcTransport.send() opens a new connection after a GOAWAY and lets the old call end", async () => {
  let calls = 0;
  await using server = await FakeServer.start((stream, headers) => {
    if (calls++ === 0) stream.session?.goaway();
    OK(stream, headers);
  });
  const transport = transportTo(server.endpoint);
  deepEqual(await transport.send(BODY, forever()), DELIVERED);
  deepEqual(await transport.send(BODY, forever()), DELIVERED);
  transport.close();
  equal(server.connections, 2);
});

Deno.test("GrpcTransport.send() reports a server that is away", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const endpoint = `http://127.0.0.1:${listener.addr.port}`;
  listener.close();
  const transport = transportTo(endpoint);
  for (let i = 0; i < 2; i++) {
    const result = await transport.send(BODY, forever());
    deepEqual([result.kind, result.kind === "retry" && result.code], ["retry", "network"]);
    equal(/ECONNREFUSED/.test(result.message), true, result.message);
  }
  transport.close();
});

Deno.test("GrpcTransport.send() settles when the signal aborts, and the next call gets a new connection", async () => {
  const controller = new AbortController();
  let calls = 0;
  await using server = await FakeServer.start((stream, headers) => {
    if (calls++ > 0) return OK(stream, headers);
    controller.abort(new DOMException("no answer within 7000 ms", "TimeoutError"));
  });
  const transport = transportTo(server.endpoint);
  const timeout = { kind: "retry", code: "timeout", message: "no answer within 7000 ms" };
  deepEqual(await transport.send(BODY, controller.signal), timeout);
  deepEqual(await transport.send(BODY, controller.signal), timeout);
  deepEqual(await transport.send(BODY, forever()), DELIVERED);
  transport.close();
  equal(server.connections, 2);
});
