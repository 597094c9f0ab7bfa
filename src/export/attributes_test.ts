import { deepEqual } from "node:assert/strict";
import { ABSENT } from "../flow/span.ts";
import { SPAN_ATTRIBUTES, tcpFlagTags } from "./attributes.ts";
import { attributesOf, flowSpan } from "./testing.ts";

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
};

Deno.test("SPAN_ATTRIBUTES reads every field of a flow under its name", () => {
  deepEqual(attributesOf(flowSpan()), ALL);
});

Deno.test("SPAN_ATTRIBUTES leaves out what is not known, and only that", () => {
  const optional = {
    sourcePort: ABSENT,
    destinationPort: ABSENT,
    reverseInterfaceName: "",
    tcpFlags: ABSENT,
    reverseTcpFlags: ABSENT,
  };
  const always = SPAN_ATTRIBUTES.filter((attribute) => attribute.when === "always").map((attribute) => attribute.name);
  deepEqual(Object.keys(attributesOf(flowSpan(optional))), always);
});

Deno.test("SPAN_ATTRIBUTES names every attribute once", () => {
  const names = SPAN_ATTRIBUTES.map((attribute) => attribute.name);
  deepEqual(names, [...new Set(names)]);
});

const TAGS: [bits: number, tags: string[]][] = [
  [ABSENT, []],
  [0, []],
  [0x02, ["syn"]],
  [0xff, ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"]],
];

for (const [bits, tags] of TAGS) {
  Deno.test(`tcpFlagTags() names the flags of ${bits}`, () => deepEqual(tcpFlagTags(bits), tags));
}
