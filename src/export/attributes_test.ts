import { deepEqual } from "node:assert/strict";
import { SPAN_ATTRIBUTES } from "./attributes.ts";
import { attributesOf, flowSpan, ONLY_REQUIRED, OTHER_PROTOCOLS } from "./testing.ts";

const ALL = {
  "flow.community_id": "1:wCb3OG7yAFWelaUydu0D+125CLM=",
  "flow.direction": "forward",
  "flow.end_reason": "end_of_flow_detected",
  "source.address": "10.0.0.1",
  "source.port": 51234,
  "destination.address": "10.0.0.2",
  "destination.port": 443,
  "network.type": "ipv4",
  "network.transport": "tcp",
  "network.interface.name": "eth0",
  "network.interface.index": 2,
  "network.interface.mac": "02:42:ac:11:00:02",
  "flow.reverse.interface.name": "eth1",
  "flow.interfaces": ["eth0", "br0"],
  "network.vlan.id": 42,
  "flow.packets.delta": 12,
  "flow.bytes.delta": 3400,
  "flow.reverse.packets.delta": 10,
  "flow.reverse.bytes.delta": 8100,
  "flow.packets.total": 112,
  "flow.bytes.total": 103400,
  "flow.reverse.packets.total": 110,
  "flow.reverse.bytes.total": 108100,
  "flow.tcp.flags.bits": 27,
  "flow.tcp.flags.tags": ["fin", "syn", "psh", "ack"],
  "flow.reverse.tcp.flags.bits": 18,
  "flow.reverse.tcp.flags.tags": ["syn", "ack"],
  "flow.connection.state": "time_wait",
  "flow.tcp.handshake.latency": 1_200_000,
  "flow.tcp.svc.latency": 350_000,
  "flow.tcp.svc.jitter": 20_000,
  "flow.tcp.rndtrip.latency": 1_350_000,
  "flow.tcp.rndtrip.jitter": 30_000,
  "flow.ip.dscp.id": 46,
  "flow.ip.dscp.name": "ef",
  "flow.ip.ecn.id": 2,
  "flow.ip.ecn.name": "ect0",
  "flow.ip.ttl": 64,
  "flow.ip.flow_label": 0x12345,
  "flow.reverse.ip.dscp.id": 0,
  "flow.reverse.ip.dscp.name": "cs0",
  "flow.reverse.ip.ecn.id": 0,
  "flow.reverse.ip.ecn.name": "not-ect",
  "flow.reverse.ip.ttl": 57,
  "flow.reverse.ip.flow_label": 0,
  "flow.icmp.type.id": 3,
  "flow.icmp.type.name": "destination_unreachable",
  "flow.icmp.code.id": 1,
  "flow.icmp.code.name": "host_unreachable",
  "flow.reverse.icmp.type.id": 11,
  "flow.reverse.icmp.type.name": "time_exceeded",
  "flow.reverse.icmp.code.id": 0,
  "flow.reverse.icmp.code.name": "time_to_live_exceeded_in_transit",
  "flow.ipsec.ah.spi": 256,
  "flow.ipsec.esp.spi": 0xffff_ffff,
  "network.policies.ingress": ["allow-web"],
  "network.policies.egress": ["default", "to-dns"],
};

Deno.test("SPAN_ATTRIBUTES reads every field of a flow under its name", () => {
  deepEqual(attributesOf(flowSpan(OTHER_PROTOCOLS)), ALL);
  deepEqual(Object.keys(ALL), SPAN_ATTRIBUTES.map((attribute) => attribute.name));
});

Deno.test("SPAN_ATTRIBUTES leaves out what is not known, and only that", () => {
  const always = SPAN_ATTRIBUTES.filter((attribute) => attribute.when === "always").map((attribute) => attribute.name);
  deepEqual(Object.keys(attributesOf(flowSpan(ONLY_REQUIRED))), always);
});

Deno.test("SPAN_ATTRIBUTES names every attribute once", () => {
  const names = SPAN_ATTRIBUTES.map((attribute) => attribute.name);
  deepEqual(names, [...new Set(names)]);
});
