/** HTTP over TLS to a small server that answers in every way: this is another client than the one without TLS. */

import { deepEqual, equal, match } from "node:assert/strict";
import { once } from "node:events";
import https from "node:https";
import type http from "node:http";
import type { AddressInfo } from "node:net";
import { GrpcTransport } from "../../src/export/otlp/grpc.ts";
import { HttpTransport } from "../../src/export/otlp/http.ts";
import { TRANSPORT_OPTIONS } from "../../src/export/otlp/testing.ts";
import { DEFAULT_TLS, type SendResult } from "../../src/export/otlp/transport.ts";
import { Authority } from "../harness/certificates.ts";
import { until } from "../harness/wait.ts";

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

const BODY = new Uint8Array(300_000).map((_, i) => i % 251);
const DELIVERED = { kind: "delivered", rejectedSpans: 0, message: "" };
const forever = () => new AbortController().signal;

/** Hands every request to `handler`, and counts connections. */
class Server implements AsyncDisposable {
  connections = 0;
  readonly #server: https.Server;

  private constructor(server: https.Server) {
    this.#server = server;
    server.on("secureConnection", () => this.connections++);
    server.on("tlsClientError", () => {});
  }

  static async start(authority: Authority, handler: Handler): Promise<Server> {
    const { cert, key } = await authority.issue("server", "DNS:localhost,IP:127.0.0.1");
    const options = { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
    const server = new Server(https.createServer(options, handler));
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  transport(authority: Authority): HttpTransport {
    const endpoint = `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return new HttpTransport({ ...TRANSPORT_OPTIONS, endpoint, tls: { ...DEFAULT_TLS, caCert: authority.cert } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const afterBody = (answer: Handler): Handler => (request, response) => {
  request.resume();
  request.on("end", () => answer(request, response));
};
const OK = afterBody((_, response) => response.end());

const ANSWERS: [name: string, handler: Handler, result: SendResult][] = [
  ["status 503", afterBody((_, response) => response.writeHead(503, { "retry-after": "7" }).end("later")), {
    kind: "retry",
    code: "http_503",
    message: "later",
    retryAfterMs: 7000,
  }],
  [
    "a refusal that breaks off",
    afterBody((_, response) => {
      response.writeHead(400, { "content-length": 100 });
      response.write("no", () => response.destroy());
    }),
    { kind: "refused", code: "http_400", message: "no" },
  ],
  ["a redirect", afterBody((_, response) => response.writeHead(307, { location: "/login?token=x" }).end()), {
    kind: "refused",
    code: "http_307",
    message: "it redirects to /login",
  }],
  ["a very long answer", afterBody((_, response) => response.writeHead(404).end("x".repeat(1_000_000))), {
    kind: "refused",
    code: "http_404",
    message: "x".repeat(300),
  }],
  [
    "a switch to another protocol",
    afterBody(({ socket }) => {
      socket.end("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
    }),
    { kind: "refused", code: "http_101", message: "" },
  ],
];

for (const [name, handler, result] of ANSWERS) {
  Deno.test(`HTTP over TLS understands ${name}, and goes on`, async () => {
    await using authority = await Authority.create();
    let calls = 0;
    await using server = await Server.start(authority, (...call) => (calls++ ? OK : handler)(...call));
    const transport = server.transport(authority);
    deepEqual(await transport.send(BODY, forever()), result);
    deepEqual(await transport.send(BODY, forever()), DELIVERED);
    transport.close();
  });
}

Deno.test("HTTP over TLS sends the whole body with its headers, over one connection", async () => {
  await using authority = await Authority.create();
  const seen: unknown[] = [];
  await using server = await Server.start(authority, (request, response) => {
    const pieces: Uint8Array[] = [];
    request.on("data", (piece: Uint8Array) => pieces.push(piece));
    request.on("end", async () => {
      const body = new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
      const { method, url, headers } = request;
      seen.push([method, url, headers["content-type"], headers["content-length"], body.toHex() === BODY.toHex()]);
      response.end();
    });
  });
  const transport = server.transport(authority);
  for (let i = 0; i < 3; i++) deepEqual(await transport.send(BODY, forever()), DELIVERED);
  transport.close();
  deepEqual(seen, Array(3).fill(["POST", "/v1/traces", "application/x-protobuf", "300000", true]));
  equal(server.connections, 1);
});

const ENDS: [name: string, handler: Handler][] = [
  ["the connection is cut before the answer", (request) => request.socket.destroy()],
  [
    "the answer breaks off",
    afterBody((request, response) => {
      response.writeHead(200, { "content-length": "100" }).write("x");
      setTimeout(() => request.socket.destroy(), 10);
    }),
  ],
];

for (const [name, handler] of ENDS) {
  Deno.test(`HTTP over TLS is worth another try when ${name}, which then succeeds`, async () => {
    await using authority = await Authority.create();
    let calls = 0;
    await using server = await Server.start(authority, (...call) => (calls++ ? OK : handler)(...call));
    const transport = server.transport(authority);
    const result = await transport.send(BODY, forever());
    deepEqual([result.kind, result.kind === "retry" && result.code], ["retry", "network"]);
    match(result.message, /./);
    deepEqual(await transport.send(BODY, forever()), DELIVERED);
    transport.close();
  });
}

Deno.test("HTTP over TLS settles when the signal aborts, and the next request gets a new connection", async () => {
  await using authority = await Authority.create();
  const controller = new AbortController();
  let calls = 0;
  await using server = await Server.start(authority, (...call) => {
    if (calls++ > 0) return OK(...call);
    controller.abort(new DOMException("no answer within 1000 ms", "TimeoutError"));
  });
  const transport = server.transport(authority);
  const timeout = { kind: "retry", code: "timeout", message: "no answer within 1000 ms" };
  deepEqual(await transport.send(BODY, controller.signal), timeout);
  deepEqual(await transport.send(BODY, controller.signal), timeout);
  deepEqual(await transport.send(BODY, forever()), DELIVERED);
  transport.close();
  equal(server.connections, 2);
});

for (const Transport of [HttpTransport, GrpcTransport]) {
  Deno.test(`${Transport.name} leaves no connection behind when the handshake never ends`, async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const open = new Set<Deno.Conn>();
    const accepting = (async () => {
      for await (const connection of listener) {
        open.add(connection);
        connection.readable.pipeTo(new WritableStream()).catch(() => {}).finally(() => open.delete(connection));
      }
    })();
    const transport = new Transport({ ...TRANSPORT_OPTIONS, endpoint: `https://127.0.0.1:${listener.addr.port}` });
    for (let i = 0; i < 3; i++) {
      const controller = new AbortController();
      const sent = transport.send(BODY, controller.signal);
      await until("a connection", () => open.size > 0);
      controller.abort(new DOMException("no answer within 1000 ms", "TimeoutError"));
      deepEqual(await sent, { kind: "retry", code: "timeout", message: "no answer within 1000 ms" });
      await until("its end", () => open.size === 0);
    }
    transport.close();
    listener.close();
    await accepting;
  });
}
