import { deepEqual, equal } from "node:assert/strict";
import { decodeGrpcMessage, grpcTimeout, judgeAnswer } from "./grpc_status.ts";
import { gzip } from "./gzip.ts";

/** `google.rpc.Status` with a `RetryInfo` of 2.5 s among its details. */
const RETRY_INFO = btoa(
  String.fromCharCode(8, 8) + "\x1a\x36" + "\x0a\x28type.googleapis.com/google.rpc.RetryInfo" +
    "\x12\x0a" + "\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01",
).replace(/=+$/, "");

const DELIVERED = { kind: "delivered", rejectedSpans: 0, message: "" };
const retry = (code: string, message = "", retryAfterMs?: number) => ({ kind: "retry", code, message, retryAfterMs });
const refused = (code: string, message = "") => ({ kind: "refused", code, message });

type Headers = Record<string, string | number>;

const ANSWERS: [name: string, headers: Headers, trailers: Headers, bodyHex: string, result: object | undefined][] = [
  ["success", { ":status": 200 }, { "grpc-status": "0" }, "0000000000", DELIVERED],
  [
    "a partial success",
    { ":status": 200 },
    { "grpc-status": "0" },
    "0000000008" + "0a06080312026e6f",
    { kind: "delivered", rejectedSpans: 3, message: "no" },
  ],
  [
    "a compressed partial success",
    { ":status": 200 },
    { "grpc-status": "0" },
    "0100000008" + gzip(Uint8Array.fromHex("0a06080312026e6f")).toHex(),
    { kind: "delivered", rejectedSpans: 3, message: "no" },
  ],
  [
    "an answer that only looks compressed",
    { ":status": 200 },
    { "grpc-status": "0" },
    "0100000001ff",
    { kind: "delivered", rejectedSpans: 0, message: "the answer is not readable: unexpected end of file" },
  ],
  ["nothing yet", {}, {}, "", undefined],
  ["an answer that broke off", { ":status": 200 }, {}, "0000000000", undefined],
  [
    "trailers only",
    { ":status": 200, "grpc-status": "12", "grpc-message": "unknown%20service" },
    {},
    "",
    refused("grpc_unimplemented", "unknown service"),
  ],
  ["a proxy that knows no gRPC", { ":status": 503 }, {}, "", retry("grpc_unavailable", "HTTP status 503")],
  ["a web server", { ":status": 404 }, {}, "", refused("grpc_unimplemented", "HTTP status 404")],
  ["an unknown HTTP status", { ":status": 418 }, {}, "", refused("grpc_unknown", "HTTP status 418")],
  ["an unknown code", { "grpc-status": "77" }, {}, "", refused("grpc_77")],
  ["a code that is none", { "grpc-status": "" }, {}, "", refused("grpc_unknown")],
  ["full", { "grpc-status": "8" }, {}, "", refused("grpc_resource_exhausted")],
  [
    "full for a while",
    { ":status": 200 },
    { "grpc-status": "8", "grpc-status-details-bin": RETRY_INFO },
    "",
    retry("grpc_resource_exhausted", "", 2500),
  ],
  [
    "unavailable for a while",
    { ":status": 200 },
    { "grpc-status": "14", "grpc-status-details-bin": RETRY_INFO },
    "",
    retry("grpc_unavailable", "", 2500),
  ],
  ...[1, 4, 10, 11, 14, 15].map((code): typeof ANSWERS[number] => {
    const names = { 1: "cancelled", 4: "deadline_exceeded", 10: "aborted", 11: "out_of_range", 14: "unavailable" };
    const name = names[code as keyof typeof names] ?? "data_loss";
    return [`code ${code}`, {}, { "grpc-status": String(code) }, "", retry(`grpc_${name}`)];
  }),
  ...[[2, "unknown"], [3, "invalid_argument"], [7, "permission_denied"], [13, "internal"], [16, "unauthenticated"]].map(
    ([code, name]): typeof ANSWERS[number] => [
      `code ${code}`,
      {},
      { "grpc-status": String(code) },
      "",
      refused(`grpc_${name}`),
    ],
  ),
];

for (const [name, headers, trailers, bodyHex, result] of ANSWERS) {
  Deno.test(`judgeAnswer() understands ${name}`, () => {
    deepEqual(judgeAnswer({ headers, trailers, pieces: [Uint8Array.fromHex(bodyHex)] }), result);
  });
}

Deno.test("decodeGrpcMessage() decodes what is percent-encoded and leaves the rest", () => {
  equal(decodeGrpcMessage("caf%C3%A9 100%25"), "café 100%");
  equal(decodeGrpcMessage("100% sure"), "100% sure");
});

for (const [ms, value] of [[0.2, "1m"], [10_000, "10000m"], [99_999_999, "99999999m"], [1e8, "100000S"]] as const) {
  Deno.test(`grpcTimeout() writes ${ms} ms as ${value}`, () => equal(grpcTimeout(ms), value));
}
