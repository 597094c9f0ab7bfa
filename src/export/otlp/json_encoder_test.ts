import { deepEqual, equal } from "node:assert/strict";
import { ABSENT, type FlowSpan } from "../../flow/span.ts";
import { flowSpan, randomFlowSpan, seededRandom, setNs } from "../testing.ts";
import type { ResourceAttributes } from "./encoder.ts";
import { JsonRequestEncoder } from "./json_encoder.ts";
import { officialRequest } from "./official.ts";
import { ProtobufWriter } from "./protobuf.ts";

const SCOPE = { name: 'mermin "x"', version: "0.1.0" };
const RESOURCE: ResourceAttributes = {
  "service.name": 'a "quoted" name',
  "host.ip": ["10.0.0.1", "fd00::1"],
  "host.cpu.count": 2,
};

function encode(spans: readonly FlowSpan[], encoder = new JsonRequestEncoder(RESOURCE, SCOPE)): string {
  const writer = new ProtobufWriter(16);
  encoder.begin(writer);
  for (const span of spans) encoder.add(writer, span);
  return new TextDecoder("utf-8", { fatal: true }).decode(encoder.finish(writer));
}

/**
 * Without what protobuf's JSON leaves out (zero, empty) and the flags, which the official serializer writes in JSON only; and
 * numbers of 64 bits as the texts that they should be.
 */
function normal(text: string): unknown {
  return JSON.parse(text, (key, value) => {
    if (key === "intValue") return String(value);
    if (key === "flags") return undefined;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const entries = Object.entries(value).filter(([name, part]) =>
      name === "value" || name.endsWith("Value") || !(part === 0 || part === undefined || isEmpty(part))
    );
    return Object.fromEntries(entries);
  });
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function sameAsOfficial(spans: readonly FlowSpan[]): void {
  const official = officialRequest(RESOURCE, SCOPE, spans, "json");
  deepEqual(normal(encode(spans)), normal(new TextDecoder().decode(official)));
}

Deno.test("JsonRequestEncoder.add() writes what the official serializer writes", async (test) => {
  const cases: Record<string, FlowSpan> = {
    "a TCP flow with everything": flowSpan(),
    "no port, no flags": flowSpan({ sourcePort: ABSENT, destinationPort: ABSENT, tcpFlags: ABSENT }),
    "port 0": flowSpan({ sourcePort: 0 }),
    "the largest counters": flowSpan({ bytesTotal: 2 ** 53 - 1, packetsTotal: 2 ** 53 - 1 }),
    "text that JSON must escape": flowSpan({ interfaceName: 'e"t\\h\n0\u0001\u2028' }),
    "text outside ASCII": flowSpan({ interfaceName: "réseau→😀" }),
  };
  for (const [name, span] of Object.entries(cases)) await test.step(name, () => sameAsOfficial([span]));
});

Deno.test("JsonRequestEncoder.add() writes what the official serializer writes for any flow", () => {
  const random = seededRandom(20261125);
  for (let round = 0; round < 100; round++) {
    sameAsOfficial(Array.from({ length: 1 + Math.floor(random() * 3) }, () => randomFlowSpan(random)));
  }
});

Deno.test("JsonRequestEncoder writes ids as hex and numbers of 64 bits as texts", () => {
  const span = flowSpan({ bytesTotal: 2 ** 53 - 1 });
  setNs(span.endNs, 2n ** 64n - 1n);
  const text = encode([span]);
  const parts = [
    '"traceId":"0102030405060708090a0b0c0d0e0f10"',
    '"spanId":"f0f1f2f3f4f5f6f7"',
    '"endTimeUnixNano":"18446744073709551615"',
    '{"key":"flow.bytes.total","value":{"intValue":"9007199254740991"}}',
  ];
  deepEqual(parts.filter((part) => !text.includes(part)), []);
});

Deno.test("JsonRequestEncoder.begin() starts a request that holds nothing of the one before", () => {
  const encoder = new JsonRequestEncoder(RESOURCE, SCOPE);
  const one = encode([flowSpan()], encoder);
  encode(Array.from({ length: 300 }, () => flowSpan({ name: "other" })), encoder);
  equal(encode([flowSpan()], encoder), one);
});
