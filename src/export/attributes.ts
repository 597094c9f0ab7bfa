/** The one table of span attributes: the encoders write what stands here, and the documentation is made from it. */

import { dscpName, ecnName } from "../flow/names.ts";
import type { FlowSpan } from "../flow/span.ts";
import { tcpFlagTags } from "../flow/tcp_flags.ts";

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
  /** Equal lists are mostly one, which never changes: its bytes can be kept. */
  readonly isShared: boolean;
}

export type SpanAttribute = StringAttribute | IntAttribute | StringListAttribute;

const ALWAYS = "always";
const WITH_PORTS = "TCP, UDP, SCTP, DCCP, UDP-Lite";
const TCP = "TCP";
const TCP_WITH_FLAGS = "TCP, when at least one flag was seen";
const SENT = "the source sent a packet in the window";
const SENT_BACK = "the destination sent a packet in the window";
const ASSIGNED = "and IANA has assigned a name";
const ICMP = "ICMP, ICMPv6; the source sent a message in the window";
const ICMP_BACK = "ICMP, ICMPv6; the destination sent a message in the window";
const CALLED = "Kubernetes; policies select the responder's pod and allow the initiator";
const CALLER = "Kubernetes; policies select the initiator's pod and allow the responder";
const SERVICE = "TCP; the responder is on this host and answered in the window";
const ROUND_TRIP = "TCP; the initiator is on this host and was answered in the window";

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
  list(
    "flow.interfaces",
    "more than one watched interface saw the flow",
    "all of them, at most six; one of them counted it",
    (span) => span.interfaces,
  ),
  int("network.vlan.id", "802.1Q, 802.1ad", "innermost VLAN id of the first packet", (span) => span.vlan),
  int("flow.packets.delta", ALWAYS, "packets source to destination, this window", (span) => span.packetsDelta),
  int("flow.bytes.delta", ALWAYS, "bytes source to destination, this window", (span) => span.bytesDelta),
  int("flow.reverse.packets.delta", ALWAYS, "packets back, this window", (span) => span.reversePacketsDelta),
  int("flow.reverse.bytes.delta", ALWAYS, "bytes back, this window", (span) => span.reverseBytesDelta),
  int("flow.packets.total", ALWAYS, "packets source to destination since the flow began", (span) => span.packetsTotal),
  int("flow.bytes.total", ALWAYS, "bytes source to destination since the flow began", (span) => span.bytesTotal),
  int("flow.reverse.packets.total", ALWAYS, "packets back since the flow began", (span) => span.reversePacketsTotal),
  int("flow.reverse.bytes.total", ALWAYS, "bytes back since the flow began", (span) => span.reverseBytesTotal),
  int("flow.tcp.flags.bits", TCP, "flags seen since the flow began, FIN = 1", (span) => span.tcpFlags),
  sharedList("flow.tcp.flags.tags", TCP_WITH_FLAGS, "their names", (span) => tcpFlagTags(span.tcpFlags)),
  int("flow.reverse.tcp.flags.bits", TCP, "flags seen on the way back", (span) => span.reverseTcpFlags),
  sharedList("flow.reverse.tcp.flags.tags", TCP_WITH_FLAGS, "their names", (span) => tcpFlagTags(span.reverseTcpFlags)),
  text("flow.connection.state", TCP, "TCP state of the source end (RFC 9293)", (span) => span.connectionState),
  int("flow.tcp.handshake.latency", "TCP, when SYN and SYN-ACK were seen", "nanoseconds between", (s) => s.handshakeNs),
  int("flow.tcp.svc.latency", SERVICE, "nanoseconds until the server answered, mean", (s) => s.serviceLatencyNs),
  int("flow.tcp.svc.jitter", SERVICE, "its jitter in nanoseconds (RFC 3550, 6.4.1)", (s) => s.serviceJitterNs),
  int("flow.tcp.rndtrip.latency", ROUND_TRIP, "nanoseconds until an answer came, mean", (s) => s.roundTripLatencyNs),
  int("flow.tcp.rndtrip.jitter", ROUND_TRIP, "its jitter in nanoseconds (RFC 3550, 6.4.1)", (s) => s.roundTripJitterNs),
  int("flow.ip.dscp.id", SENT, "DSCP of the source's first packet in the window", (span) => span.dscp),
  text("flow.ip.dscp.name", `${SENT}, ${ASSIGNED}`, "its IANA name, lower case", (span) => dscpName(span.dscp)),
  int("flow.ip.ecn.id", SENT, "ECN field of that packet", (span) => span.ecn),
  text("flow.ip.ecn.name", SENT, "`not-ect`, `ect1`, `ect0`, `ce` (RFC 3168)", (span) => ecnName(span.ecn)),
  int("flow.ip.ttl", SENT, "TTL or hop limit of that packet", (span) => span.ttl),
  int("flow.ip.flow_label", `IPv6; ${SENT}`, "flow label of that packet", (span) => span.flowLabel),
  int("flow.reverse.ip.dscp.id", SENT_BACK, "the same of the destination's first packet", (span) => span.reverseDscp),
  text("flow.reverse.ip.dscp.name", `${SENT_BACK}, ${ASSIGNED}`, "its name", (span) => dscpName(span.reverseDscp)),
  int("flow.reverse.ip.ecn.id", SENT_BACK, "ECN field of that packet", (span) => span.reverseEcn),
  text("flow.reverse.ip.ecn.name", SENT_BACK, "its name", (span) => ecnName(span.reverseEcn)),
  int("flow.reverse.ip.ttl", SENT_BACK, "TTL or hop limit of that packet", (span) => span.reverseTtl),
  int("flow.reverse.ip.flow_label", `IPv6; ${SENT_BACK}`, "flow label of that packet", (s) => s.reverseFlowLabel),
  int("flow.icmp.type.id", ICMP, "type of the source's first message in the window", (span) => span.icmpType),
  text("flow.icmp.type.name", `${ICMP}, ${ASSIGNED}`, "its IANA name in snake_case", (span) => span.icmpTypeName),
  int("flow.icmp.code.id", ICMP, "code of that message", (span) => span.icmpCode),
  text("flow.icmp.code.name", `${ICMP}, ${ASSIGNED}`, "its IANA name in snake_case", (span) => span.icmpCodeName),
  int("flow.reverse.icmp.type.id", ICMP_BACK, "the same of the destination's message", (span) => span.reverseIcmpType),
  text("flow.reverse.icmp.type.name", `${ICMP_BACK}, ${ASSIGNED}`, "its name", (span) => span.reverseIcmpTypeName),
  int("flow.reverse.icmp.code.id", ICMP_BACK, "code of that message", (span) => span.reverseIcmpCode),
  text("flow.reverse.icmp.code.name", `${ICMP_BACK}, ${ASSIGNED}`, "its name", (span) => span.reverseIcmpCodeName),
  int("flow.ipsec.ah.spi", "AH; the source sent a packet", "SPI that the source sends with", (span) => span.ahSpi),
  int("flow.ipsec.esp.spi", "ESP; the source sent a packet", "SPI that the source sends with", (span) => span.espSpi),
  sharedList(
    "network.policies.ingress",
    CALLED,
    "names of the NetworkPolicies that do, sorted",
    (s) => s.ingressPolicies,
  ),
  sharedList(
    "network.policies.egress",
    CALLER,
    "names of the NetworkPolicies that do, sorted",
    (s) => s.egressPolicies,
  ),
];

function text(name: string, when: string, about: string, read: StringAttribute["read"]): StringAttribute {
  return { name, type: "string", when, about, read };
}

function int(name: string, when: string, about: string, read: IntAttribute["read"]): IntAttribute {
  return { name, type: "int", when, about, read };
}

function list(name: string, when: string, about: string, read: StringListAttribute["read"]): StringListAttribute {
  return { name, type: "string[]", when, about, read, isShared: false };
}

function sharedList(...attribute: Parameters<typeof list>): StringListAttribute {
  return { ...list(...attribute), isShared: true };
}
