import { deepEqual, equal } from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { GrpcTransport } from "./grpc.ts";
import { ErrorCode } from "./http2/frames.ts";
import { type Call, Connection } from "./http2/testing.ts";
import { TRANSPORT_OPTIONS } from "./testing.ts";
import type { SendResult } from "./transport.ts";

/** An answer with a `partial_success` of 3 rejected spans and the remark "no". */
const PARTIAL = Uint8Array.fromHex("0000000008" + "0a06080312026e6f");
const BODY = new Uint8Array(300_000).map((_, i) => i % 251);

type Handler = (call: Call) => unknown;

/** A gRPC server that hands each call to `handler`; counts connections. */
class FakeServer implements AsyncDisposable {
  connections = 0;
  readonly #sockets = new Set<Socket>();
  readonly #listener: net.Server;

  private constructor(handler: Handler) {
    this.#listener = net.createServer((socket) => {
      this.connections++;
      this.#sockets.add(socket);
      new Connection(socket, handler);
    });
  }

  static async start(handler: Handler): Promise<FakeServer> {
    const server = new FakeServer(handler);
    server.#listener.listen(0, "127.0.0.1");
    await once(server.#listener, "listening");
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#listener.close(resolve));
  }
}

const transportTo = (endpoint: string, compression: "none" | "gzip" = "none") =>
  new GrpcTransport({
    ...TRANSPORT_OPTIONS,
    endpoint,
    compression,
    headers: { "X-Tenant": "a" },
    timeoutMs: 7000,
    userAgent: "mermin/0.1.0",
  });

const forever = () => new AbortController().signal;

const BEGIN = { ":status": 200, "content-type": "application/grpc" };

const OK: Handler = async (call) => {
  await call.read();
  call.head(BEGIN);
  call.write(PARTIAL);
  call.head({ "grpc-status": 0 }, { end: true });
};

const DELIVERED = { kind: "delivered", rejectedSpans: 3, message: "no" };

Deno.test("GrpcTransport.send() makes a unary call and reads its answer", async () => {
  let received = new Uint8Array();
  await using server = await FakeServer.start(async (call) => {
    received = await call.read();
    OK(call);
  });
  const transport = transportTo(server.endpoint);
  deepEqual(await transport.send(BODY, forever()), DELIVERED);
  transport.close();
  equal(received.subarray(0, 5).toHex(), "00000493e0");
  equal(received.subarray(5).toHex(), BODY.toHex());
});

const HEADERS: [compression: "none" | "gzip", encoding: string | null, prefix: string][] = [
  ["none", null, "00000493e0"],
  ["gzip", "gzip", "01000493e0"],
];

for (const [compression, encoding, prefix] of HEADERS) {
  Deno.test(`GrpcTransport.send() tells the server what it sends, compression ${compression}`, async () => {
    let seen: unknown[] = [];
    const handler = async ({ method, url, headers, body }: Request) => {
      const names = ["content-type", "te", "grpc-timeout", "user-agent", "x-tenant", "grpc-encoding"];
      const begin = (await new Response(body).bytes()).subarray(0, 5).toHex();
      seen = [method, new URL(url).pathname, ...names.map((name) => headers.get(name)), begin];
      return new Response(null, { headers: { "content-type": "application/grpc", "grpc-status": "0" } });
    };
    // Another server than in the other tests: this one can read compressed headers, but not send trailers.
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
    const transport = transportTo(`http://127.0.0.1:${server.addr.port}`, compression);
    deepEqual((await transport.send(BODY, forever())).kind, "delivered");
    transport.close();
    const path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    const values = ["application/grpc", "trailers", "7000m", "mermin/0.1.0", "a", encoding];
    deepEqual(seen, ["POST", path, ...values, prefix]);
  });
}

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
    async (call) => {
      await call.read();
      call.head({ ...BEGIN, "grpc-status": 3, "grpc-message": "bad%20data" }, { end: true });
    },
    { kind: "refused", code: "grpc_invalid_argument", message: "bad data" },
  ],
  [
    "a refusal before the request is read",
    (call) => call.head({ ...BEGIN, "grpc-status": 8, "grpc-message": "too large" }, { end: true }),
    { kind: "refused", code: "grpc_resource_exhausted", message: "too large" },
  ],
  [
    "a proxy's error page",
    async (call) => {
      await call.read();
      call.head({ ":status": 503, "content-type": "text/html" });
      call.write(new TextEncoder().encode("<h1>away</h1>"));
      call.head({ "x-proxy": "a" }, { end: true });
    },
    { kind: "retry", code: "grpc_unavailable", message: "HTTP status 503", retryAfterMs: undefined },
  ],
];

for (const [name, handler, result] of FAILURES) {
  Deno.test(`GrpcTransport.send() understands ${name}, and goes on`, async () => {
    let calls = 0;
    await using server = await FakeServer.start((call) => (calls++ ? OK : handler)(call));
    const transport = transportTo(server.endpoint);
    deepEqual(await transport.send(BODY, forever()), result);
    deepEqual(await transport.send(BODY, forever()), DELIVERED);
    transport.close();
  });
}

const ENDS: [name: string, handler: Handler][] = [
  ["the stream is reset", (call) => call.reset(ErrorCode.REFUSED_STREAM)],
  ["the connection is cut", ({ connection }) => connection.socket.destroy()],
  ["the server goes away", ({ connection }) => connection.goAway(0)],
  ["the server goes away and cuts the connection", ({ connection }) => {
    connection.goAway(0);
    connection.socket.destroySoon();
  }],
  ["the answer breaks off", (call) => {
    call.head(BEGIN);
    call.write(PARTIAL.subarray(0, 7));
    call.connection.socket.destroySoon();
  }],
];

for (const [name, handler] of ENDS) {
  Deno.test(`GrpcTransport.send() is worth another try when ${name}, which then succeeds`, async () => {
    let calls = 0;
    await using server = await FakeServer.start((call) => (calls++ ? OK : handler)(call));
    const transport = transportTo(server.endpoint);
    const result = await transport.send(BODY, forever());
    deepEqual([result.kind, result.kind === "retry" && result.code], ["retry", "network"]);
    deepEqual(await transport.send(BODY, forever()), DELIVERED);
    transport.close();
  });
}

Deno.test("GrpcTransport.send() opens a new connection after a GOAWAY and lets the old call end", async () => {
  let calls = 0;
  await using server = await FakeServer.start((call) => {
    if (calls++ === 0) call.connection.goAway(call.id);
    OK(call);
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
  await using server = await FakeServer.start((call) => {
    if (calls++ > 0) return OK(call);
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

Deno.test("GrpcTransport.send() that is given up leaves other calls alone, and its connection ends with the last", async () => {
  const calls: Call[] = [];
  await using server = await FakeServer.start((call) => calls.push(call));
  const transport = transportTo(server.endpoint);
  const begin = async (signal: AbortSignal) => {
    const before = calls.length;
    const result = transport.send(BODY, signal);
    while (calls.length === before) await new Promise((resolve) => setTimeout(resolve, 1));
    return { result, call: calls[before] };
  };
  const [late, later] = [new AbortController(), new AbortController()];
  const [first, second, third] = [await begin(late.signal), await begin(later.signal), await begin(forever())];
  const ended = once(first.call.connection.socket, "close");
  late.abort(new Error("late"));
  deepEqual(await first.result, { kind: "retry", code: "timeout", message: "late" });
  const newer = await begin(forever());
  OK(third.call);
  deepEqual(await third.result, DELIVERED);
  later.abort(new Error("later"));
  await second.result;
  await ended;
  OK(newer.call);
  deepEqual(await newer.result, DELIVERED);
  equal(server.connections, 2);
  transport.close();
});
