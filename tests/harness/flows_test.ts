import assert from "node:assert/strict";
import { compareFlows, countFlows, type IdentifiedFlow } from "./flows.ts";
import type { Attributes, SpanRecord } from "./otlp_json.ts";
import type { CountedPacket } from "./pcap.ts";

function packet(change: Partial<CountedPacket> = {}): CountedPacket {
  const tuple = { protocol: 17, sourceAddress: "10.77.0.2", sourcePort: 4000 };
  return { ...tuple, destinationAddress: "10.77.0.1", destinationPort: 53, bytes: 60, ...change };
}

function answer(
  { sourceAddress, sourcePort, destinationAddress, destinationPort, ...rest }: CountedPacket,
): CountedPacket {
  return {
    ...rest,
    sourceAddress: destinationAddress,
    sourcePort: destinationPort,
    destinationAddress: sourceAddress,
    destinationPort: sourcePort,
  };
}

function span(change: Attributes = {}, name = "flow_ipv4_udp"): SpanRecord {
  const attributes = {
    "flow.community_id": "1:a",
    "source.address": "10.77.0.2",
    "source.port": 4000,
    "destination.address": "10.77.0.1",
    "destination.port": 53,
    "network.type": "ipv4",
    "network.transport": "udp",
    "flow.packets.delta": 1,
    "flow.bytes.delta": 60,
    "flow.reverse.packets.delta": 0,
    "flow.reverse.bytes.delta": 0,
    ...change,
  };
  const scope = { resource: {}, scopeName: "", scopeVersion: "" };
  return { traceId: "", spanId: "s", name, kind: 1, startNs: 0n, endNs: 0n, attributes, ...scope };
}

function flow(change: Partial<IdentifiedFlow> = {}): IdentifiedFlow {
  const { bytes: _, ...tuple } = packet();
  const counts = { forward: { packets: 1, bytes: 60 }, reverse: { packets: 0, bytes: 0 } };
  return { communityId: "1:a", tuple, ...counts, ...change };
}

Deno.test("countFlows() joins both directions of a conversation", () => {
  const request = packet();
  const reply = { ...answer(request), bytes: 100 };
  const [counted, ...others] = countFlows([request, reply, request]);
  assert.equal(others.length, 0);
  assert.deepEqual([counted.forward, counted.reverse], [{ packets: 2, bytes: 120 }, { packets: 1, bytes: 100 }]);
});

const icmpCases = [
  { name: "joins echo request and reply", protocol: 1, types: [8, 0], flows: 1 },
  { name: "joins ICMPv6 echo request and reply", protocol: 58, types: [128, 129], flows: 1 },
  { name: "keeps unreachable messages of both sides apart", protocol: 1, types: [3, 3], flows: 2 },
];
for (const { name, protocol, types, flows } of icmpCases) {
  Deno.test(`countFlows() ${name}`, () => {
    const there = packet({ protocol, sourcePort: types[0], destinationPort: 0 });
    const back = { ...answer(there), sourcePort: types[1], destinationPort: 0 };
    assert.equal(countFlows([there, back]).length, flows);
  });
}

const swapped = {
  "source.address": "10.77.0.1",
  "source.port": 53,
  "destination.address": "10.77.0.2",
  "destination.port": 4000,
  "flow.packets.delta": 0,
  "flow.bytes.delta": 0,
  "flow.reverse.packets.delta": 1,
  "flow.reverse.bytes.delta": 60,
};
const agreeing: { name: string; truth: IdentifiedFlow[]; spans: SpanRecord[] }[] = [
  { name: "one span", truth: [flow()], spans: [span()] },
  { name: "a span seen from the other end", truth: [flow()], spans: [span(swapped)] },
  { name: "deltas of two spans", truth: [flow({ forward: { packets: 2, bytes: 120 } })], spans: [span(), span()] },
];
for (const { name, truth, spans } of agreeing) {
  Deno.test(`compareFlows() finds no difference for ${name}`, () => assert.deepEqual(compareFlows(truth, spans), []));
}

const differing: { name: string; truth: IdentifiedFlow[]; spans: SpanRecord[]; expected: RegExp }[] = [
  { name: "a missing flow", truth: [flow()], spans: [], expected: /4000 -> 10.77.0.1:53 1:a: .* spans no span/ },
  { name: "a doubled span", truth: [flow()], spans: [span(), span()], expected: /1 packets 60 .* spans 2 packets 120/ },
  { name: "one byte", truth: [flow()], spans: [span({ "flow.bytes.delta": 61 })], expected: /60 bytes.* 61 bytes/ },
  { name: "a wrong id", truth: [], spans: [span()], expected: /unexpected span flow_ipv4_udp 10.77.0.2:4000 .* 1:a/ },
  { name: "a wrong port", truth: [flow()], spans: [span({ "source.port": 1 })], expected: /says 10.77.0.2,1,/ },
  { name: "a wrong name", truth: [flow()], spans: [span({}, "flow_udp")], expected: /ipv4,flow_udp, captured/ },
];
for (const { name, truth, spans, expected } of differing) {
  Deno.test(`compareFlows() reports ${name}`, () => {
    const differences = compareFlows(truth, spans);
    assert.equal(differences.length, 1, differences.join("\n"));
    assert.match(differences[0], expected);
  });
}

Deno.test("compareFlows() leaves out spans that are not in scope", () => {
  assert.deepEqual(compareFlows([], [span()], (address) => address !== "10.77.0.2"), []);
});
