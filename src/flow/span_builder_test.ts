import assert from "node:assert/strict";
import { NO_SIDE } from "./ends.ts";
import { Protocol } from "./icmp.ts";
import { ABSENT, type FlowSpan, SpanKind } from "./span.ts";
import { Nat } from "./record.ts";
import { type InterfaceFacts, SpanBuilder } from "./span_builder.ts";
import { flowRecord, joinNs, type RecordValues, recordValues } from "./testing.ts";

const [A, B] = recordValues().addresses;
const NO_EVIDENCE: Partial<RecordValues> = { synFrom: NO_SIDE, synAckFrom: NO_SIDE, ports: [5000, 6000] };

interface Host {
  local?: string[];
  interfaces?: Record<number, InterfaceFacts>;
  seed?: number;
}

function builder({ local = [], interfaces = {}, seed = 0 }: Host = {}): SpanBuilder {
  return new SpanBuilder({
    seed,
    traceIdTimeoutMs: 86_400_000,
    capacity: 4,
    host: { interface: (ifindex) => interfaces[ifindex], isLocal: (address) => local.includes(address) },
  });
}

function build(change: Partial<RecordValues> = {}, host: Host = {}): FlowSpan {
  return builder(host).build(flowRecord(change));
}

/** Source, destination and role in one line. */
function ends(span: FlowSpan): string {
  const kind = Object.entries(SpanKind).find(([, value]) => value === span.kind)?.[0];
  return `${span.sourceAddress} > ${span.destinationAddress} ${kind} ${span.direction}`;
}

const SERVER_SIDE = `${A} > ${B} SERVER reverse`;
const CLIENT_SIDE = `${B} > ${A} CLIENT forward`;
const UNKNOWN = `${A} > ${B} INTERNAL unknown`;

Deno.test("SpanBuilder.build() turns the flow so that its source is the judged one", async (t) => {
  // The record is of a connection that B opened.
  const cases: [name: string, Partial<RecordValues>, local: string[], expected: string][] = [
    ["the server's host", {}, [A], SERVER_SIDE],
    ["the client's host", {}, [B], CLIENT_SIDE],
    ["both ends here", {}, [A, B], CLIENT_SIDE],
    ["no end here", {}, [], CLIENT_SIDE],
    ["first met at the SYN-ACK", { synFrom: NO_SIDE }, [A], SERVER_SIDE],
    ["ports only", { synFrom: NO_SIDE, synAckFrom: NO_SIDE }, [A], SERVER_SIDE],
    ["nothing known", { ...NO_EVIDENCE, firstFrom: 0 }, [], UNKNOWN],
    ["nothing known, B first", { ...NO_EVIDENCE, firstFrom: 1 }, [], `${B} > ${A} INTERNAL unknown`],
    ["nothing known, B first, A here", { ...NO_EVIDENCE, firstFrom: 1 }, [A], UNKNOWN],
  ];
  for (const [name, change, local, expected] of cases) {
    await t.step(name, () => assert.equal(ends(build(change, { local })), expected));
  }
});

Deno.test("SpanBuilder.build() counts from source to destination, and back", () => {
  const side = (end: 0 | 1) => {
    const { packetsDelta, bytesDelta, packetsTotal, bytesTotal, tcpFlags } = recordValues();
    return [packetsDelta[end], bytesDelta[end], packetsTotal[end], bytesTotal[end], tcpFlags[end]];
  };
  for (const [local, source, sourcePort, destinationPort] of [[A, 0, 443, 51234], [B, 1, 51234, 443]] as const) {
    const span = build({}, { local: [local] });
    const { packetsDelta, bytesDelta, packetsTotal, bytesTotal, tcpFlags } = span;
    assert.deepEqual([packetsDelta, bytesDelta, packetsTotal, bytesTotal, tcpFlags], side(source));
    assert.deepEqual([
      span.reversePacketsDelta,
      span.reverseBytesDelta,
      span.reversePacketsTotal,
      span.reverseBytesTotal,
      span.reverseTcpFlags,
    ], side(source === 0 ? 1 : 0));
    assert.deepEqual([span.sourcePort, span.destinationPort], [sourcePort, destinationPort]);
  }
});

Deno.test("SpanBuilder.build() keeps the verdict of a flow's first span", () => {
  const local: string[] = [A];
  const made = builder({ local });
  assert.equal(ends(made.build(flowRecord())), SERVER_SIDE);
  // The host changes, and other evidence than at first comes up: the same flow stays as it was.
  local.splice(0, 1, B);
  const later = flowRecord({ isFirst: false, synFrom: NO_SIDE, synAckFrom: NO_SIDE });
  assert.equal(ends(made.build(later)), SERVER_SIDE);
  assert.equal(ends(made.build(flowRecord({ isFirst: false, slot: 2 }))), CLIENT_SIDE, "another slot");
  assert.equal(ends(made.build(later)), SERVER_SIDE);
  assert.equal(ends(made.build(flowRecord({ isFirst: false, isLast: true }))), SERVER_SIDE, "its last span");
  assert.equal(ends(made.build(flowRecord({ isFirst: false }))), CLIENT_SIDE, "after its last span");
});

Deno.test("SpanBuilder.build() judges a flow anew when its slot has a new one", () => {
  const local: string[] = [A];
  const made = builder({ local });
  // The flow before ended without a last span: it had no packet in its last window.
  made.build(flowRecord({ isFirst: true }));
  local.splice(0, 1, B);
  assert.equal(ends(made.build(flowRecord({ isFirst: true }))), CLIENT_SIDE);
});

Deno.test("SpanBuilder.build() judges a flow that it meets in the middle, as after a restart", () => {
  assert.equal(ends(build({ isFirst: false }, { local: [A] })), SERVER_SIDE);
});

Deno.test("SpanBuilder.build() names the flow and shows only the ports that its protocol has", async (t) => {
  const { TCP, UDP, SCTP, DCCP, UDPLITE, ICMP, ICMPV6 } = Protocol;
  const cases: [protocol: number, v4: string, v6: string, hasPorts: boolean][] = [
    [TCP, "flow_ipv4_tcp", "flow_ipv6_tcp", true],
    [UDP, "flow_ipv4_udp", "flow_ipv6_udp", true],
    [SCTP, "flow_ipv4_sctp", "flow_ipv6_sctp", true],
    [DCCP, "flow_ipv4_dccp", "flow_ipv6_dccp", true],
    [UDPLITE, "flow_ipv4_udplite", "flow_ipv6_udplite", true],
    [ICMP, "flow_ipv4_icmp", "flow_ipv6_icmp", false],
    [ICMPV6, "flow_ipv4_icmpv6", "flow_ipv6_icmpv6", false],
    [47, "flow_ipv4_gre", "flow_ipv6_gre", false],
    [253, "flow_ipv4_proto_253", "flow_ipv6_proto_253", false],
  ];
  for (const [protocol, v4, v6, hasPorts] of cases) {
    await t.step(v4, () => {
      for (const [name, addresses] of [[v4, undefined], [v6, ["fd00::1", "fd00::2"]]] as const) {
        const span = build({ protocol, ...addresses && { addresses: [...addresses] }, ...NO_EVIDENCE, firstFrom: 0 });
        assert.equal(span.name, name);
        assert.equal(span.name, `flow_${span.networkType}_${span.transport}`);
        assert.equal(span.sourceAddress, addresses?.[0] ?? A);
        assert.deepEqual([span.sourcePort, span.destinationPort], hasPorts ? [5000, 6000] : [ABSENT, ABSENT]);
        const flags = protocol === TCP ? [0x12, 0x1b] : [ABSENT, ABSENT];
        assert.deepEqual([span.tcpFlags, span.reverseTcpFlags], flags);
      }
    });
  }
});

Deno.test("SpanBuilder.build() sees who asks in the ICMP type, and takes no type for a port", async (t) => {
  const icmp: Partial<RecordValues> = { protocol: Protocol.ICMP, synFrom: NO_SIDE, synAckFrom: NO_SIDE };
  const cases: [name: string, ports: [number, number], expected: string][] = [
    ["A asks", [8, 0], `${A} > ${B} CLIENT forward`],
    ["B asks", [0, 8], CLIENT_SIDE],
    // As ports, 3 would be a server and 40000 a client.
    ["one-way", [3, 40000], UNKNOWN],
  ];
  for (const [name, ports, expected] of cases) {
    await t.step(name, () => assert.equal(ends(build({ ...icmp, ports, firstFrom: 0 })), expected));
  }
});

Deno.test("SpanBuilder.build() names the interfaces that counted", async (t) => {
  const interfaces = { 2: { name: "eth0", mac: "02:00:00:00:00:02" }, 3: { name: "wg0", mac: "" } };
  const cases: [name: string, ifindex: [number, number], local: string, expected: [string, number, string, string]][] =
    [
      ["one", [2, 2], A, ["eth0", 2, "02:00:00:00:00:02", ""]],
      ["two", [2, 3], A, ["eth0", 2, "02:00:00:00:00:02", "wg0"]],
      ["two, from the other end", [2, 3], B, ["wg0", 3, "", "eth0"]],
      ["not known", [9, 9], A, ["unknown", 9, "", ""]],
      ["back not known", [2, 9], A, ["eth0", 2, "02:00:00:00:00:02", "unknown"]],
    ];
  for (const [name, ifindex, local, expected] of cases) {
    await t.step(name, () => {
      const span = build({ hook: [ifindex[0] << 1, ifindex[1] << 1] }, { local: [local], interfaces });
      const { interfaceName, interfaceIndex, interfaceMac, reverseInterfaceName } = span;
      assert.deepEqual([interfaceName, interfaceIndex, interfaceMac, reverseInterfaceName], expected);
    });
  }
});

Deno.test("SpanBuilder.build() gives both ends of a connection one trace and one Community ID, and ids of its own", () => {
  const made = [A, B].map((local) => builder({ local: [local] }));
  const [server, client] = made.map((builder) => builder.build(flowRecord()));
  assert.notEqual(server.sourceAddress, client.sourceAddress);
  assert.deepEqual(server.traceId, client.traceId);
  assert.equal(server.communityId, client.communityId);
  assert.notDeepEqual(server.spanId, client.spanId);
  const before = [...client.spanId];
  assert.notDeepEqual([...made[1].build(flowRecord({ isFirst: false })).spanId], before);
});

Deno.test("SpanBuilder.build() gives the Community ID of the reference implementation", async (t) => {
  // From the baseline of github.com/corelight/community-id-spec.
  const cases: [Partial<RecordValues>, seed: number, expected: string][] = [
    [{ addresses: ["66.35.250.204", "128.232.110.120"], ports: [80, 34855] }, 0, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="],
    [{ addresses: ["66.35.250.204", "128.232.110.120"], ports: [80, 34855] }, 1, "1:3V71V58M3Ksw/yuFALMcW0LAHvc="],
  ];
  for (const [change, seed, expected] of cases) {
    await t.step(`seed ${seed}`, () => assert.equal(build(change, { seed }).communityId, expected));
  }
});

const TRANSLATED: Partial<RecordValues> = {
  ...{ addresses: ["10.0.0.1", "10.96.0.10"], ports: [40000, 80] },
  ...{ natAddresses: ["10.0.0.1", "10.0.0.9"], natPorts: [40000, 8080], natFrom: 0, synFrom: 0, synAckFrom: 1 },
};
const BEHIND: Partial<RecordValues> = {
  ...TRANSLATED,
  ...{ addresses: ["10.0.0.1", "10.0.0.9"], ports: [40000, 8080] },
  ...{ natAddresses: ["10.0.0.1", "10.96.0.10"], natPorts: [40000, 80] },
};

Deno.test("SpanBuilder.build() gives both sides of a translated connection the trace of what is behind it", () => {
  const before = build({ ...TRANSLATED, nat: Nat.ORIGINAL });
  const behind = build({ ...BEHIND, nat: Nat.TRANSLATED });
  const [plainBefore, plainBehind] = [build(TRANSLATED), build(BEHIND)];
  assert.deepEqual([before.traceId, behind.traceId], [plainBehind.traceId, plainBehind.traceId]);
  assert.notDeepEqual(plainBefore.traceId, plainBehind.traceId);
  assert.deepEqual([before.communityId, behind.communityId], [plainBefore.communityId, plainBehind.communityId]);
});

Deno.test("SpanBuilder.build() tells the other name of an end that has one, turned like the ends", async (t) => {
  const other = (span: FlowSpan) =>
    [
      [span.sourceNatAddress, span.sourceNatPort],
      [span.destinationNatAddress, span.destinationNatPort],
    ].map(([address, port]) => `${address} ${port}`);
  const none = ` ${ABSENT}`;
  const cases: [name: string, Partial<RecordValues>, local: string[], expected: string[]][] = [
    ["nobody", { ...TRANSLATED, nat: Nat.NONE }, [], [none, none]],
    ["the destination", { ...TRANSLATED, nat: Nat.ORIGINAL }, [], [none, "10.0.0.9 8080"]],
    ["the source", { ...TRANSLATED, nat: Nat.ORIGINAL }, ["10.96.0.10"], ["10.0.0.9 8080", none]],
    ["behind it", { ...BEHIND, nat: Nat.TRANSLATED }, [], [none, "10.96.0.10 80"]],
    [
      "another port only",
      { ...TRANSLATED, nat: Nat.ORIGINAL, natAddresses: ["10.0.0.1", "10.96.0.10"] },
      [],
      [none, "10.96.0.10 8080"],
    ],
    ["no ports", { ...TRANSLATED, nat: Nat.ORIGINAL, protocol: 47 }, [], [none, `10.0.0.9 ${ABSENT}`]],
  ];
  for (const [name, change, local, expected] of cases) {
    await t.step(name, () => assert.deepEqual(other(build(change, { local })), expected));
  }
});

Deno.test("SpanBuilder.build() knows from the tracked connection who began", () => {
  const tracked = { ...NO_EVIDENCE, nat: Nat.ORIGINAL, natFrom: 1 as const };
  assert.equal(ends(build({ ...tracked, firstFrom: 0 })), CLIENT_SIDE);
  assert.equal(ends(build({ ...tracked, firstFrom: 0 }, { local: [A] })), SERVER_SIDE);
});

Deno.test("SpanBuilder.build() asks who listens, about this host's ends only", async (t) => {
  const cases: [name: string, Partial<RecordValues>, local: string[], listening: string[], expected: string][] = [
    ["the server", {}, [A], [`6 ${A} 5000`], SERVER_SIDE],
    ["another address", {}, [A], [`6 ${B} 5000`], UNKNOWN],
    ["another protocol", {}, [A], [`17 ${A} 5000`], UNKNOWN],
    ["an end of another host", {}, [A], [`6 ${B} 6000`], UNKNOWN],
    ["both ends", {}, [A, B], [`6 ${A} 5000`, `6 ${B} 6000`], UNKNOWN],
    ["one of both ends", {}, [A, B], [`6 ${B} 6000`], `${A} > ${B} CLIENT forward`],
    ["UDP", { protocol: Protocol.UDP }, [A], [`17 ${A} 5000`], SERVER_SIDE],
    ["no ports", { protocol: 47 }, [A], [`47 ${A} 5000`], UNKNOWN],
    ["weaker than a SYN", { synFrom: 0 }, [A], [`6 ${A} 5000`], `${A} > ${B} CLIENT forward`],
  ];
  for (const [name, change, local, listening, expected] of cases) {
    await t.step(name, () => {
      const host = {
        interface: () => undefined,
        isLocal: (address: string) => local.includes(address),
        listens: (...socket: [number, string, number]) => listening.includes(socket.join(" ")),
      };
      const made = new SpanBuilder({ seed: 0, traceIdTimeoutMs: 1000, capacity: 4, host });
      assert.equal(ends(made.build(flowRecord({ ...NO_EVIDENCE, firstFrom: 0, ...change }))), expected);
    });
  }
});

Deno.test("SpanBuilder.describe() tells all but the name, the times and the ids, which finish() adds", () => {
  const made = builder({ local: [A] });
  const record = flowRecord();
  const whole = structuredClone(build({}, { local: [A] }));
  const { name, communityId, traceId, startNs, endNs, spanId: _, ...described } = whole;
  const { spanId, ...before } = structuredClone(made.describe(record));
  assert.deepEqual(before, {
    ...described,
    ...{ name: "", communityId: "", traceId: new Uint8Array(16), startNs: { lo: 0, hi: 0 }, endNs: { lo: 0, hi: 0 } },
  });
  assert.deepEqual(spanId, new Uint8Array(8));
  made.finish(record);
  const { spanId: ownId, ...after } = structuredClone(made.describe(record));
  assert.deepEqual(after, { ...described, name, communityId, traceId, startNs, endNs });
  assert.notDeepEqual(ownId, new Uint8Array(8));
});

Deno.test("SpanBuilder.build() copies times to the nanosecond and the reason", () => {
  const { startNs, endNs } = recordValues();
  const span = build({ endReasonCode: 5 });
  assert.deepEqual([joinNs(span.startNs), joinNs(span.endNs), span.endReason], [startNs, endNs, "lack_of_resources"]);
  assert.equal(build({ endReasonCode: 0 }).endReason, "unknown");
});

Deno.test("SpanBuilder.build() leaves nothing of the flow before in its one object", () => {
  const made = builder({ local: [A], interfaces: { 2: { name: "eth0", mac: "02:00:00:00:00:02" } } });
  const udp: Partial<RecordValues> = { protocol: Protocol.UDP, slot: 1, hook: [14, 14], tcpFlags: [0, 0] };
  const fresh = { ...build(udp, { local: [A] }) };
  const tcp = made.build(flowRecord({ hook: [4, 6] }));
  const span = made.build(flowRecord(udp));
  assert.equal(span, tcp, "one object");
  assert.deepEqual({ ...span, spanId: 0 }, { ...fresh, spanId: 0 });
});
