import assert from "node:assert/strict";
import { NO_SIDE } from "./ends.ts";
import { Protocol } from "./icmp.ts";
import { ABSENT, type FlowSpan } from "./span.ts";
import { SpanBuilder } from "./span_builder.ts";
import { flowRecord, type RecordValues, recordValues } from "./testing.ts";

const [A, B] = recordValues().addresses;
const NO_ROLES: Partial<RecordValues> = { synFrom: NO_SIDE, synAckFrom: NO_SIDE, ports: [5000, 6000] };

/** The span of a TCP flow that B began, seen on the host that has `local`. */
function build(change: Partial<RecordValues>, local: string[] = [A]): FlowSpan {
  const host = {
    interface: (index: number) => ({ name: `eth${index}`, mac: "" }),
    isLocal: (address: string) => local.includes(address),
  };
  return new SpanBuilder({ seed: 0, traceIdTimeoutMs: 1000, capacity: 8, host }).build(flowRecord(change));
}

Deno.test("fillHeaders() takes each direction's first packet apart, from source to destination", () => {
  const change: Partial<RecordValues> = { trafficClass: [0xb8 | 2, 3], ttl: [64, 57] };
  const span = build(change);
  assert.deepEqual([span.dscp, span.ecn, span.ttl], [46, 2, 64]);
  assert.deepEqual([span.reverseDscp, span.reverseEcn, span.reverseTtl], [0, 3, 57]);
  const turned = build(change, [B]);
  assert.deepEqual([turned.dscp, turned.ecn, turned.ttl], [0, 3, 57]);
  assert.deepEqual([turned.reverseDscp, turned.reverseEcn, turned.reverseTtl], [46, 2, 64]);
});

Deno.test("fillHeaders() knows nothing of a direction without a packet, and a flow label of IPv6 only", () => {
  const change: Partial<RecordValues> = { isIpKnown: [true, false], flowLabel: [0xabcde, 0], ttl: [64, 0] };
  const ipv4 = build(change);
  assert.deepEqual([ipv4.ttl, ipv4.flowLabel], [64, ABSENT]);
  assert.deepEqual([ipv4.reverseDscp, ipv4.reverseEcn, ipv4.reverseTtl], [ABSENT, ABSENT, ABSENT]);
  const ipv6: Partial<RecordValues> = { addresses: ["fd00::1", "fd00::2"], flowLabel: [0xabcde, 0] };
  assert.deepEqual([build(ipv6, ["fd00::1"]).flowLabel, build(ipv6, ["fd00::1"]).reverseFlowLabel], [0xabcde, 0]);
  assert.equal(build({ ...ipv6, isIpKnown: [true, false] }, ["fd00::1"]).reverseFlowLabel, ABSENT);
});

Deno.test("fillHeaders() has the VLAN id, 0 too, and the source's SPI of the protocol", async (t) => {
  const cases: [name: string, Partial<RecordValues>, vlan: number, ah: number, esp: number][] = [
    ["untagged", {}, ABSENT, ABSENT, ABSENT],
    ["priority tag", { vlan: 0 }, 0, ABSENT, ABSENT],
    ["AH", { vlan: 42, protocol: Protocol.AH, spi: [256, 512] }, 42, 256, ABSENT],
    ["ESP", { protocol: Protocol.ESP, spi: [0xffff_ffff, 512] }, ABSENT, ABSENT, 0xffff_ffff],
    ["ESP, nothing sent", { protocol: Protocol.ESP, spi: [0, 512] }, ABSENT, ABSENT, ABSENT],
    ["no IPsec", { protocol: Protocol.UDP, spi: [1, 2] }, ABSENT, ABSENT, ABSENT],
  ];
  for (const [name, change, ...expected] of cases) {
    await t.step(name, () => {
      const { vlan, ahSpi, espSpi } = build({ ...NO_ROLES, ...change });
      assert.deepEqual([vlan, ahSpi, espSpi], expected);
    });
  }
});

Deno.test("fillIcmp() names both directions' messages, and only those seen", async (t) => {
  const { ICMP, ICMPV6, UDP } = Protocol;
  const both: Partial<RecordValues> = { isIcmpKnown: [true, true] };
  const nothing = [ABSENT, "", ABSENT, ""];
  const cases: [name: string, Partial<RecordValues>, unknown[], unknown[]][] = [
    ["ping", { ...both, protocol: ICMP, icmpType: [8, 0] }, [8, "echo", 0, ""], [0, "echo_reply", 0, ""]],
    ["ping6", { ...both, protocol: ICMPV6, icmpType: [128, 129] }, [128, "echo_request", 0, ""], [
      ...[129, "echo_reply", 0, ""],
    ]],
    ["port unreachable", { isIcmpKnown: [true, false], protocol: ICMP, icmpType: [3, 0], icmpCode: [3, 0] }, [
      ...[3, "destination_unreachable", 3, "port_unreachable"],
    ], nothing],
    ["not assigned", { ...both, protocol: ICMP, icmpType: [200, 3], icmpCode: [1, 99] }, [200, "", 1, ""], [
      ...[3, "destination_unreachable", 99, ""],
    ]],
    ["not ICMP", { ...both, protocol: UDP, icmpType: [8, 0] }, nothing, nothing],
  ];
  for (const [name, change, forward, reverse] of cases) {
    await t.step(name, () => {
      const span = build({ ...NO_ROLES, ...change });
      assert.deepEqual([span.icmpType, span.icmpTypeName, span.icmpCode, span.icmpCodeName], forward);
      const { reverseIcmpType, reverseIcmpTypeName, reverseIcmpCode, reverseIcmpCodeName } = span;
      assert.deepEqual([reverseIcmpType, reverseIcmpTypeName, reverseIcmpCode, reverseIcmpCodeName], reverse);
    });
  }
});

Deno.test("fillTcp() calls the responder's answer time by where it was measured", async (t) => {
  // A answers B.
  const measured: Partial<RecordValues> = { latencyNs: [700, 900], jitterNs: [70, 90], latencyCount: [2, 2] };
  const service = [700, 70, ABSENT, ABSENT];
  const roundTrip = [ABSENT, ABSENT, 700, 70];
  const nothing = [ABSENT, ABSENT, ABSENT, ABSENT];
  const cases: [name: string, Partial<RecordValues>, local: string[], expected: number[]][] = [
    ["the responder's host", {}, [A], service],
    ["the initiator's host", {}, [B], roundTrip],
    ["both ends here", {}, [A, B], [700, 70, 700, 70]],
    ["no end here", {}, [], nothing],
    ["roles unknown", NO_ROLES, [A], nothing],
    ["no answer in the window", { latencyCount: [0, 2] }, [A], nothing],
    ["no measured time is a time", { latencyNs: [0, 0], jitterNs: [0, 0] }, [A], [0, 0, ABSENT, ABSENT]],
    ["not TCP", { protocol: Protocol.UDP }, [A], nothing],
  ];
  for (const [name, change, local, expected] of cases) {
    await t.step(name, () => {
      const span = build({ ...measured, ...change }, local);
      const { serviceLatencyNs, serviceJitterNs, roundTripLatencyNs, roundTripJitterNs } = span;
      assert.deepEqual([serviceLatencyNs, serviceJitterNs, roundTripLatencyNs, roundTripJitterNs], expected);
    });
  }
});

Deno.test("fillTcp() has the handshake's time, state and flags for TCP only", () => {
  const tcp: Partial<RecordValues> = { handshakeNs: 1200, finFrom: 1, tcpFlags: [0x12, 0x13] };
  const [server, client] = [build(tcp), build(tcp, [B])];
  assert.deepEqual([server.handshakeNs, server.connectionState, client.connectionState], [
    ...[1200, "close_wait", "fin_wait"],
  ]);
  assert.equal(build({}).handshakeNs, ABSENT);
  const udp = build({ ...tcp, protocol: Protocol.UDP });
  assert.deepEqual([udp.handshakeNs, udp.connectionState, udp.tcpFlags, udp.reverseTcpFlags], [
    ...[ABSENT, "", ABSENT, ABSENT],
  ]);
});

Deno.test("SpanBuilder.build() lists the interfaces when there are several, up to six", () => {
  assert.deepEqual(build({ interfaces: [2] }).interfaces, []);
  assert.deepEqual(build({ interfaces: [2, 3] }).interfaces, ["eth2", "eth3"]);
  assert.deepEqual(build({ interfaces: [2, 3, 4, 5, 6, 7] }).interfaces.length, 6);
});
