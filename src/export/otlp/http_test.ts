import { deepEqual, equal } from "node:assert/strict";
import { BLOCKED_PORTS } from "./config.ts";
import { HttpTransport, type HttpTransportOptions, parseRetryAfterMs, tracesUrl } from "./http.ts";
import { TRANSPORT_OPTIONS } from "./testing.ts";
import type { SendResult } from "./transport.ts";

const BODY = new Uint8Array([1, 2, 3]);
const PROTOBUF = { "content-type": "application/x-protobuf" };
/** `partial_success { rejected_spans: 3, error_message: "no" }`. */
const PARTIAL = Uint8Array.fromHex("0a06080312026e6f");
/** `google.rpc.Status { code: 3, message: "bad" }`. */
const STATUS = Uint8Array.fromHex("08031203626164");
const WALL_CLOCK_MS = Date.parse("Mon, 23 Nov 2026 08:00:00 GMT");

async function sendTo(
  handler: (request: Request) => Response | Promise<Response>,
  signal = new AbortController().signal,
  change: Partial<HttpTransportOptions> = {},
): Promise<SendResult> {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, handler);
  const endpoint = `http://127.0.0.1:${server.addr.port}`;
  const options = { ...TRANSPORT_OPTIONS, endpoint, userAgent: "mermin/0.1.0", ...change };
  return await new HttpTransport(options, () => WALL_CLOCK_MS).send(BODY, signal);
}

const BINARY = { encoding: "protobuf", compression: "none" } as const;
const REQUESTS: [name: string, change: Partial<HttpTransportOptions>, headers: (string | null)[]][] = [
  ["protobuf", BINARY, ["application/x-protobuf", null]],
  ["JSON", { ...BINARY, encoding: "json" }, ["application/json", null]],
  ["compressed JSON", { encoding: "json", compression: "gzip" }, ["application/json", "gzip"]],
];

for (const [name, change, expected] of REQUESTS) {
  Deno.test(`HttpTransport.send() posts ${name} with its headers to the traces path`, async () => {
    let seen: unknown[] = [];
    await sendTo(
      async (request) => {
        const { method, url, headers } = request;
        const names = ["user-agent", "x-tenant", "content-type", "content-encoding"];
        seen = [
          method,
          new URL(url).pathname,
          ...names.map((name) => headers.get(name)),
          (await request.bytes()).toHex(),
        ];
        return new Response();
      },
      undefined,
      { headers: { "X-Tenant": "a", "Content-Type": "text/plain" }, ...change },
    );
    deepEqual(seen, ["POST", "/v1/traces", "mermin/0.1.0", "a", ...expected, "010203"]);
  });
}

const DELIVERED = { kind: "delivered", rejectedSpans: 0, message: "" };

const json = (value: unknown, status = 200) => () => Response.json(value, { status });

const JSON_ANSWERS: [name: string, response: () => Response, result: object][] = [
  ["an empty answer in JSON", json({}), DELIVERED],
  ["a partial success that is none", json({ partialSuccess: {} }), DELIVERED],
  [
    "a partial success in JSON",
    json({ partialSuccess: { rejectedSpans: "3", errorMessage: "no" } }),
    { kind: "delivered", rejectedSpans: 3, message: "no" },
  ],
  ["a JSON answer that is no object", json(null), DELIVERED],
  ["status 400 in JSON", json({ code: 3, message: "bad" }, 400), { kind: "refused", code: "http_400", message: "bad" }],
  ["status 400 in other JSON", json(["no"], 400), { kind: "refused", code: "http_400", message: '["no"]' }],
];

const ANSWERS: [name: string, response: () => Response, result: object][] = [
  ["an empty answer", () => new Response(null, { headers: PROTOBUF }), DELIVERED],
  ["status 204", () => new Response(null, { status: 204 }), DELIVERED],
  [
    "a partial success",
    () => new Response(PARTIAL, { headers: PROTOBUF }),
    { kind: "delivered", rejectedSpans: 3, message: "no" },
  ],
  ["an answer that is no protobuf", () => new Response("fine"), DELIVERED],
  [
    "a broken answer",
    () => new Response("\xff", { headers: PROTOBUF }),
    {
      kind: "delivered",
      rejectedSpans: 0,
      message: "the answer is not readable: Cannot read protobuf: no varint ends at byte 2",
    },
  ],
  [
    "status 400",
    () => new Response(STATUS, { status: 400, headers: PROTOBUF }),
    { kind: "refused", code: "http_400", message: "bad" },
  ],
  ...JSON_ANSWERS,
  [
    "status 401 in plain text",
    () => new Response("who are you?\n", { status: 401 }),
    { kind: "refused", code: "http_401", message: "who are you?" },
  ],
  ["status 500", () => new Response(null, { status: 500 }), { kind: "refused", code: "http_500", message: "" }],
  [
    "a redirect",
    () => new Response(null, { status: 302, headers: { location: "/login" } }),
    { kind: "refused", code: "http_302", message: "it redirects to /login" },
  ],
  ...[
    ["/login?token=secret#part", "/login"],
    ["https://user:secret@example.test:8443/login?token=secret", "https://example.test:8443/login"],
    ["https:user:secret@example.test/", "https://example.test/"],
    ["//user:secret@example.test/login", "//example.test/login"],
  ].map(([location, shown]): [string, () => Response, object] => [
    `a redirect to ${location}, and keeps its secrets`,
    () => new Response(null, { status: 307, headers: { location } }),
    { kind: "refused", code: "http_307", message: `it redirects to ${shown}` },
  ]),
  [
    "a very long answer",
    () => new Response("x".repeat(1_000_000), { status: 404 }),
    { kind: "refused", code: "http_404", message: "x".repeat(300) },
  ],
  ...[408, 429, 502, 503, 504].map((status): [string, () => Response, object] => [
    `status ${status}`,
    () => new Response("later", { status, headers: { "retry-after": "7" } }),
    { kind: "retry", code: `http_${status}`, message: "later", retryAfterMs: 7000 },
  ]),
];

for (const [name, response, result] of ANSWERS) {
  Deno.test(`HttpTransport.send() understands ${name}`, async () => deepEqual(await sendTo(response), result));
}

const BROKEN_TEXTS: [name: string, response: () => Response][] = [
  ["cannot be unpacked", () => new Response(BODY, { status: 400, headers: { "content-encoding": "gzip" } })],
  ["breaks off", () => new Response(ReadableStream.from(breaksOff()), { status: 400 })],
];

async function* breaksOff(): AsyncGenerator<Uint8Array> {
  yield BODY;
  await new Promise((resolve) => setTimeout(resolve, 1));
  throw new Error("a test's server breaks off");
}

for (const [name, response] of BROKEN_TEXTS) {
  Deno.test(`HttpTransport.send() takes a refusal for one when its text ${name}`, async () => {
    const { kind, ...rest } = await sendTo(response);
    deepEqual([kind, "code" in rest && rest.code], ["refused", "http_400"]);
  });
}

Deno.test("HTTP to BLOCKED_PORTS, and to none beside them, is what fetch refuses", async () => {
  const isBlocked = async (port: number) => {
    const request = fetch(`http://127.0.0.1:${port}`, { method: "HEAD", signal: AbortSignal.timeout(10_000) });
    return / are blocked/.test(String(await request.catch((error) => error)));
  };
  const ports = new Set([...BLOCKED_PORTS].flatMap((port) => [Math.max(0, port - 1), port, port + 1]));
  const blocked: number[] = [];
  for (const port of ports) if (await isBlocked(port)) blocked.push(port);
  deepEqual(blocked, [...BLOCKED_PORTS]);
});

Deno.test("HttpTransport.send() reports a server that is away as worth another try", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const endpoint = `http://127.0.0.1:${listener.addr.port}`;
  listener.close();
  const transport = new HttpTransport({ ...TRANSPORT_OPTIONS, endpoint });
  const result = await transport.send(BODY, new AbortController().signal);
  deepEqual([result.kind, result.kind === "retry" && result.code], ["retry", "network"]);
});

Deno.test("HttpTransport.send() settles when the signal aborts", async () => {
  const controller = new AbortController();
  const result = await sendTo(async (request) => {
    await request.bytes();
    controller.abort(new DOMException("no answer within 1000 ms", "TimeoutError"));
    await new Promise((resolve) => setTimeout(resolve, 10));
    return new Response();
  }, controller.signal);
  deepEqual(result, { kind: "retry", code: "timeout", message: "no answer within 1000 ms" });
});

Deno.test("HttpTransport.send() settles when the signal aborts in the middle of an answer, also after a garbage collection", async () => {
  const controller = new AbortController();
  const { promise: isAnswering, resolve: answering } = Promise.withResolvers<void>();
  const endless = new ReadableStream<Uint8Array>({
    start: (answer) => answer.enqueue(BODY),
    pull: () => answering(),
  });
  const result = sendTo(() => new Response(endless), controller.signal);
  await isAnswering;
  await untilCollected();
  controller.abort(new DOMException("no answer within 1000 ms", "TimeoutError"));
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise((resolve) => timer = setTimeout(resolve, 60_000, "it goes on reading"));
  const settled = await Promise.race([result, late]).finally(() => clearTimeout(timer));
  deepEqual(settled, { kind: "retry", code: "timeout", message: "no answer within 1000 ms" });
});

/** Resolves after a garbage collection of what is young, such as all that a test has made. */
async function untilCollected(): Promise<void> {
  const garbage = (() => new WeakRef({}))();
  while (garbage.deref()) {
    // Until the end of the turn it is kept.
    await new Promise((resolve) => setTimeout(resolve, 1));
    for (let i = 0; i < 100; i++) new Array(10_000).fill(i);
  }
}

const ENDPOINTS = [
  ["http://localhost:4318", "http://localhost:4318/v1/traces"],
  ["https://example.test/", "https://example.test/v1/traces"],
  ["http://localhost:4318/otlp/traces?tenant=a", "http://localhost:4318/otlp/traces?tenant=a"],
];

for (const [endpoint, url] of ENDPOINTS) {
  Deno.test(`tracesUrl() makes ${url} of ${endpoint}`, () => equal(tracesUrl(endpoint).href, url));
}

const RETRY_AFTERS: [value: string | null, ms: number | undefined][] = [
  [null, undefined],
  ["0", 0],
  ["120", 120_000],
  ["Mon, 23 Nov 2026 08:00:30 GMT", 30_000],
  ["Mon, 23 Nov 2026 07:00:00 GMT", 0],
  ["soon", undefined],
];

for (const [value, ms] of RETRY_AFTERS) {
  Deno.test(`parseRetryAfterMs() reads ${value} as ${ms}`, () => equal(parseRetryAfterMs(value, WALL_CLOCK_MS), ms));
}
