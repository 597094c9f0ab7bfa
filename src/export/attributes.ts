/** The one table of span attributes: the encoders write what stands here, and the documentation is made from it. */

import { ABSENT, type FlowSpan } from "../flow/span.ts";

interface About {
  readonly name: string;
  /** When a span has the attribute; `always` also means that an empty value is written. */
  readonly when: string;
  /** One sentence for the documentation. */
  readonly about: string;
}

export interface StringAttribute extends About {
  readonly type: "string";
  readonly read: (span: FlowSpan) => string;
}

export interface IntAttribute extends About {
  readonly type: "int";
  readonly read: (span: FlowSpan) => number;
}

export interface StringListAttribute extends About {
  readonly type: "string[]";
  readonly read: (span: FlowSpan) => readonly string[];
}

export type SpanAttribute = StringAttribute | IntAttribute | StringListAttribute;

/** TCP flag names in the order of their bits, FIN = 1 (RFC 9293, section 3.1; ECE and CWR: RFC 3168). */
export const TCP_FLAG_NAMES = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"] as const;

const NO_TAGS: readonly string[] = [];

/** By bits, each made when it is first asked for: a few of them are in every span of TCP. */
const tagsOfBits: (readonly string[])[] = [];

/** Names of the TCP flags in `bits`, lowest bit first; empty when the flags are not known. */
export function tcpFlagTags(bits: number): readonly string[] {
  if (bits === ABSENT) return NO_TAGS;
  return tagsOfBits[bits] ??= TCP_FLAG_NAMES.filter((_, bit) => bits & (1 << bit));
}

const ALWAYS = "always";
const WITH_PORTS = "TCP, UDP, SCTP, DCCP, UDP-Lite";
const TCP = "TCP";
const TCP_WITH_FLAGS = "TCP, when at least one flag was seen";

/** Every attribute of a flow span, in the order in which it is written. Counters are frames and bytes as captured. */
export const SPAN_ATTRIBUTES: readonly SpanAttribute[] = [
  text("flow.community_id", ALWAYS, "Community ID v1 of the five-tuple", (span) => span.communityId),
  text("flow.direction", ALWAYS, "`forward`: source is the initiator, `reverse`, `unknown`", (span) => span.direction),
  text("flow.end_reason", ALWAYS, "why the record was closed (IPFIX flowEndReason)", (span) => span.endReason),
  text("source.address", ALWAYS, "IP address, IPv6 as in RFC 5952", (span) => span.sourceAddress),
  int("source.port", WITH_PORTS, "transport port", (span) => span.sourcePort),
  text("destination.address", ALWAYS, "IP address, IPv6 as in RFC 5952", (span) => span.destinationAddress),
  int("destination.port", WITH_PORTS, "transport port", (span) => span.destinationPort),
  text("network.type", ALWAYS, "`ipv4` or `ipv6`", (span) => span.networkType),
  text("network.transport", ALWAYS, "lower-case IANA protocol name, else `proto_<n>`", (span) => span.transport),
  text("network.interface.name", ALWAYS, "interface that counted the flow", (span) => span.interfaceName),
  int("network.interface.index", ALWAYS, "its index", (span) => span.interfaceIndex),
  text("network.interface.mac", ALWAYS, "its hardware address", (span) => span.interfaceMac),
  text(
    "flow.reverse.interface.name",
    "the reverse direction was counted on another interface",
    "that interface",
    (span) => span.reverseInterfaceName,
  ),
  int("flow.packets.delta", ALWAYS, "packets source to destination, this window", (span) => span.packetsDelta),
  int("flow.bytes.delta", ALWAYS, "bytes source to destination, this window", (span) => span.bytesDelta),
  int("flow.reverse.packets.delta", ALWAYS, "packets back, this window", (span) => span.reversePacketsDelta),
  int("flow.reverse.bytes.delta", ALWAYS, "bytes back, this window", (span) => span.reverseBytesDelta),
  int("flow.packets.total", ALWAYS, "packets source to destination since the flow began", (span) => span.packetsTotal),
  int("flow.bytes.total", ALWAYS, "bytes source to destination since the flow began", (span) => span.bytesTotal),
  int("flow.reverse.packets.total", ALWAYS, "packets back since the flow began", (span) => span.reversePacketsTotal),
  int("flow.reverse.bytes.total", ALWAYS, "bytes back since the flow began", (span) => span.reverseBytesTotal),
  int("flow.tcp.flags.bits", TCP, "flags seen since the flow began, FIN = 1", (span) => span.tcpFlags),
  list("flow.tcp.flags.tags", TCP_WITH_FLAGS, "their names", (span) => tcpFlagTags(span.tcpFlags)),
  int("flow.reverse.tcp.flags.bits", TCP, "flags seen on the way back", (span) => span.reverseTcpFlags),
  list("flow.reverse.tcp.flags.tags", TCP_WITH_FLAGS, "their names", (span) => tcpFlagTags(span.reverseTcpFlags)),
];

function text(name: string, when: string, about: string, read: StringAttribute["read"]): StringAttribute {
  return { name, type: "string", when, about, read };
}

function int(name: string, when: string, about: string, read: IntAttribute["read"]): IntAttribute {
  return { name, type: "int", when, about, read };
}

function list(name: string, when: string, about: string, read: StringListAttribute["read"]): StringListAttribute {
  return { name, type: "string[]", when, about, read };
}
