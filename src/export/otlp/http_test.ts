import { deepEqual, equal } from "node:assert/strict";
import { HttpTransport, parseRetryAfterMs, tracesUrl } from "./http.ts";
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
  headers: Record<string, string> = {},
): Promise<SendResult> {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, handler);
  const endpoint = `http://127.0.0.1:${server.addr.port}`;
  const options = { endpoint, headers, timeoutMs: 1000, userAgent: "mermin/0.1.0" };
  return await new HttpTransport(options, () => WALL_CLOCK_MS).send(BODY, signal);
}

Deno.test("HttpTransport.send() posts the body with its headers to the traces path", async () => {
  let seen: unknown;
  await sendTo(
    async (request) => {
      const { method, url } = request;
      const header = (name: string) => request.headers.get(name);
      const headers = [header("content-type"), header("user-agent"), header("x-tenant")];
      seen = [method, new URL(url).pathname, ...headers, (await request.bytes()).toHex()];
      return new Response();
    },
    undefined,
    { "X-Tenant": "a" },
  );
  deepEqual(seen, ["POST", "/v1/traces", "application/x-protobuf", "mermin/0.1.0", "a", "010203"]);
});

const DELIVERED = { kind: "delivered", rejectedSpans: 0, message: "" };

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

Deno.test("HttpTransport.send() reports a server that is away as worth another try", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const endpoint = `http://127.0.0.1:${listener.addr.port}`;
  listener.close();
  const transport = new HttpTransport({ endpoint, headers: {}, timeoutMs: 1000, userAgent: "mermin" });
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
