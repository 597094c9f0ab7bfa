import { deepEqual, equal } from "node:assert/strict";
import { authorization, DiscreetTransport, Redactor, requestHeaders } from "./auth.ts";
import { FakeTransport } from "./testing.ts";
import type { SendResult } from "./transport.ts";

const BASIC = { basic: { user: "me", pass: "pässword" }, bearer: "" };
const BEARER = { basic: undefined, bearer: "token-1234" };

const HEADERS: [name: string, auth: Parameters<typeof authorization>[0], value: string | undefined][] = [
  ["no settings", undefined, undefined],
  ["empty settings", { basic: undefined, bearer: "" }, undefined],
  ["a user", BASIC, "Basic bWU6cMOkc3N3b3Jk"],
  ["a token", BEARER, "Bearer token-1234"],
];

for (const [name, auth, value] of HEADERS) {
  Deno.test(`authorization() of ${name}`, () => equal(authorization(auth), value));
}

Deno.test("requestHeaders() adds the authorization to the others", () => {
  const headers = { "x-tenant": "a" };
  deepEqual(requestHeaders({ auth: BEARER, headers }), { ...headers, authorization: "Bearer token-1234" });
  deepEqual(requestHeaders({ auth: undefined, headers }), headers);
});

Deno.test("Redactor.clean() hides every secret in every form in which it is sent", () => {
  const redactor = new Redactor({
    auth: BASIC,
    headers: { "x-key": "key-123", "x-long": "key-123456", "x-flag": "1" },
  });
  const text = "got Basic bWU6cMOkc3N3b3Jk, pässword, key-123, key-123456, 1 from me";
  equal(redactor.clean(text), "got Basic (hidden), (hidden), (hidden), (hidden), 1 from me");
  equal(new Redactor({ auth: BEARER, headers: {} }).clean("bad token-1234"), "bad (hidden)");
});

const RESULTS: SendResult[] = [
  { kind: "delivered", rejectedSpans: 1, message: "odd token-1234" },
  { kind: "retry", code: "http_503", message: "no token-1234", retryAfterMs: 7 },
  { kind: "refused", code: "http_401", message: "bad token-1234" },
];

for (const result of RESULTS) {
  Deno.test(`DiscreetTransport.send() hides secrets in a result that is ${result.kind}, and changes nothing else`, async () => {
    const redactor = new Redactor({ auth: BEARER, headers: {} });
    const transport = new DiscreetTransport(new FakeTransport(result), redactor);
    const sent = await transport.send(new Uint8Array(1), new AbortController().signal);
    deepEqual(sent, { ...result, message: result.message.replace("token-1234", "(hidden)") });
  });
}
