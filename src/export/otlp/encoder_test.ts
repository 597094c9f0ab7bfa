import { equal } from "node:assert/strict";
import type { FlowSpan } from "../../flow/span.ts";
import { RequestEncoder, type ResourceAttributes } from "./encoder.ts";
import { officialRequest } from "./official.ts";
import { protobufFields, ProtobufWriter } from "./protobuf.ts";
import { flowSpan, ONLY_REQUIRED, OTHER_PROTOCOLS, randomFlowSpan, seededRandom, setNs } from "../testing.ts";

const SCOPE = { name: "mermin", version: "0.1.0" };
const RESOURCE: ResourceAttributes = {
  "service.name": "mermin",
  "host.ip": ["10.0.0.1", "fd00::1"],
  "host.cpu.count": 2,
};

Deno.test("RequestEncoder.add() writes the bytes of the official serializer", async (test) => {
  const cases: Record<string, FlowSpan> = {
    "a TCP flow with everything": flowSpan(),
    "nothing but what is required": flowSpan(ONLY_REQUIRED),
    "what other protocols have": flowSpan(OTHER_PROTOCOLS),
    "a DSCP without a name": flowSpan({ dscp: 63 }),
    "port 0": flowSpan({ sourcePort: 0 }),
    "flags known to be none": flowSpan({ tcpFlags: 0 }),
    "all flags": flowSpan({ tcpFlags: 255 }),
    "no reverse interface": flowSpan({ reverseInterfaceName: "" }),
    "an interface without a MAC address": flowSpan({ interfaceMac: "" }),
    "the largest counters": flowSpan({ bytesTotal: 2 ** 53 - 1, packetsTotal: 2 ** 53 - 1 }),
    "a long name": flowSpan({ name: "n".repeat(20_000) }),
    "text outside ASCII": flowSpan({ interfaceName: "réseau→😀" }),
  };
  for (const [name, span] of Object.entries(cases)) await test.step(name, () => sameAsOfficial(RESOURCE, [span]));
});

Deno.test("RequestEncoder.add() writes the bytes of the official serializer for any flow", () => {
  const random = seededRandom(20261123);
  for (let round = 0; round < 150; round++) {
    const spans = Array.from({ length: Math.floor(random() * 4) }, () => randomFlowSpan(random));
    sameAsOfficial({ ...RESOURCE, "k8s.node.name": "n".repeat(Math.floor(random() * 300)) }, spans);
  }
});

Deno.test("RequestEncoder.add() reads a list of policies once, and writes it with every span and under both names", () => {
  let reads = 0;
  const names = new Proxy(["a", "b".repeat(200)], {
    get: (list, key) => (reads += key === "0" || key === Symbol.iterator ? 1 : 0, Reflect.get(list, key)),
  });
  const span = flowSpan({ ingressPolicies: names, egressPolicies: names });
  const encoder = new RequestEncoder(RESOURCE, SCOPE);
  const writer = new ProtobufWriter(16);
  encoder.begin(writer);
  encoder.add(writer, span);
  const readFirst = reads;
  encoder.add(writer, span);
  equal(reads, readFirst);
  const official = spansOf(officialRequest(RESOURCE, SCOPE, [span, span])).map(withoutDefaults);
  equal(hexOf(spansOf(encoder.finish(writer))), hexOf(official));
});

Deno.test("RequestEncoder.add() writes times to the nanosecond", () => {
  const span = flowSpan();
  setNs(span.startNs, 1_700_000_000_123_456_789n);
  setNs(span.endNs, 2n ** 64n - 1n);
  const [fields] = spansOf(encode(RESOURCE, [span])).map((bytes) => [...protobufFields(bytes)]);
  const time = (number: number) => fields.find((field) => field.number === number)?.bytes;
  equal(new DataView(time(7)!.slice().buffer).getBigUint64(0, true), 1_700_000_000_123_456_789n);
  equal(new DataView(time(8)!.slice().buffer).getBigUint64(0, true), 2n ** 64n - 1n);
});

Deno.test("RequestEncoder.begin() starts a request that holds nothing of the one before", () => {
  const encoder = new RequestEncoder(RESOURCE, SCOPE);
  const writer = new ProtobufWriter(16);
  const request = (spans: FlowSpan[]) => {
    encoder.begin(writer);
    for (const span of spans) encoder.add(writer, span);
    return encoder.finish(writer).toHex();
  };
  const one = request([flowSpan()]);
  request(Array.from({ length: 300 }, () => flowSpan({ name: "other" })));
  equal(request([flowSpan()]), one);
});

function encode(resource: ResourceAttributes, spans: readonly FlowSpan[]): Uint8Array {
  const encoder = new RequestEncoder(resource, SCOPE);
  const writer = new ProtobufWriter(16);
  encoder.begin(writer);
  for (const span of spans) encoder.add(writer, span);
  return encoder.finish(writer);
}

/**
 * The official serializer also writes fields that hold their default (dropped counts, an unset status) and the span
 * flags, always in the same bytes; apart from these the two must agree to the byte.
 */
function sameAsOfficial(resource: ResourceAttributes, spans: readonly FlowSpan[]): void {
  const ours = encode(resource, spans);
  equal(hexOf(spansOf(ours)), hexOf(spansOf(officialRequest(resource, SCOPE, spans)).map(withoutDefaults)));
  if (spans.length === 0) return;
  equal(envelopeOf(ours), envelopeOf(officialRequest(resource, SCOPE, spans)).replace(/1000(?=\|)/, ""));
}

const DEFAULTS_HEX = "5000" + "6000" + "7000" + "7a021800" + "850100010000";

function withoutDefaults(span: Uint8Array): Uint8Array {
  const cut = span.length - DEFAULTS_HEX.length / 2;
  equal(span.subarray(cut).toHex(), DEFAULTS_HEX);
  return span.subarray(0, cut);
}

const hexOf = (parts: readonly Uint8Array[]) => parts.map((part) => part.toHex()).join("\n");

const only = (bytes: Uint8Array, number: number) =>
  [...protobufFields(bytes)].filter((field) => field.number === number).map((field) => field.bytes);

function spansOf(request: Uint8Array): Uint8Array[] {
  return only(request, 1).flatMap((resourceSpans) => only(resourceSpans, 2)).flatMap((scopeSpans) =>
    only(scopeSpans, 2)
  );
}

/** Resource and scope as `<hex>|<hex>`. */
function envelopeOf(request: Uint8Array): string {
  const [resourceSpans] = only(request, 1);
  const [resource] = only(resourceSpans, 1);
  const [scope] = only(only(resourceSpans, 2)[0], 1);
  return `${resource.toHex()}|${scope.toHex()}`;
}
