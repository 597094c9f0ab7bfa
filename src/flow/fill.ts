/** Copies what a record says into a span, turned so that it runs from the source to the destination. */

import { addressText } from "./address.ts";
import { connectionState } from "./connection_state.ts";
import { type Ends, isOnThisHost, NO_SIDE, otherSide, responderSide, type Side } from "./ends.ts";
import { Protocol } from "./icmp.ts";
import { icmpCodeName, icmpTypeName } from "./icmp_names.ts";
import { type FlowRecordView, Nat, NO_VLAN } from "./record.ts";
import { ABSENT, type FlowSpan } from "./span.ts";

const IPV6_BYTES = 16;
/** The traffic class is the DSCP and, in the two low bits, the ECN field (RFC 2474, RFC 3168). */
const ECN_BITS = 2;
const ECN_MASK = 3;

/** What the ends are called on the other side of a translation; absent for an end that keeps its name. */
export function fillNat(span: FlowSpan, record: FlowRecordView, hasPorts: boolean, out: Side): void {
  span.sourceNatAddress = span.destinationNatAddress = "";
  span.sourceNatPort = span.destinationNatPort = ABSENT;
  if (record.nat === Nat.NONE) return;
  const { bytes, addressBytes, natAOffset, natBOffset, natPortA, natPortB } = record;
  const [source, destination] = out === 0 ? [natAOffset, natBOffset] : [natBOffset, natAOffset];
  const [sourcePort, destinationPort] = out === 0 ? [natPortA, natPortB] : [natPortB, natPortA];
  const sourceAddress = addressText(bytes, source, addressBytes);
  if (sourceAddress !== span.sourceAddress || (hasPorts && sourcePort !== span.sourcePort)) {
    span.sourceNatAddress = sourceAddress;
    if (hasPorts) span.sourceNatPort = sourcePort;
  }
  const destinationAddress = addressText(bytes, destination, addressBytes);
  if (destinationAddress !== span.destinationAddress || (hasPorts && destinationPort !== span.destinationPort)) {
    span.destinationNatAddress = destinationAddress;
    if (hasPorts) span.destinationNatPort = destinationPort;
  }
}

/** Packets and bytes of both directions. */
export function fillCounters(span: FlowSpan, record: FlowRecordView, out: Side): void {
  const back = otherSide(out);
  span.packetsDelta = record.packetsDelta(out);
  span.bytesDelta = record.bytesDelta(out);
  span.packetsTotal = record.packetsTotal(out);
  span.bytesTotal = record.bytesTotal(out);
  span.reversePacketsDelta = record.packetsDelta(back);
  span.reverseBytesDelta = record.bytesDelta(back);
  span.reversePacketsTotal = record.packetsTotal(back);
  span.reverseBytesTotal = record.bytesTotal(back);
}

/** What the IP headers and the frame say, and the index of IPsec. */
export function fillHeaders(span: FlowSpan, record: FlowRecordView, out: Side): void {
  const back = otherSide(out);
  const isIpv6 = record.addressBytes === IPV6_BYTES;
  let isKnown = record.isIpKnown(out);
  span.dscp = isKnown ? record.trafficClass(out) >> ECN_BITS : ABSENT;
  span.ecn = isKnown ? record.trafficClass(out) & ECN_MASK : ABSENT;
  span.ttl = isKnown ? record.ttl(out) : ABSENT;
  span.flowLabel = isKnown && isIpv6 ? record.flowLabel(out) : ABSENT;
  isKnown = record.isIpKnown(back);
  span.reverseDscp = isKnown ? record.trafficClass(back) >> ECN_BITS : ABSENT;
  span.reverseEcn = isKnown ? record.trafficClass(back) & ECN_MASK : ABSENT;
  span.reverseTtl = isKnown ? record.ttl(back) : ABSENT;
  span.reverseFlowLabel = isKnown && isIpv6 ? record.flowLabel(back) : ABSENT;
  span.vlan = record.vlan === NO_VLAN ? ABSENT : record.vlan;
  const spi = record.spi(out) || ABSENT;
  span.ahSpi = record.protocol === Protocol.AH ? spi : ABSENT;
  span.espSpi = record.protocol === Protocol.ESP ? spi : ABSENT;
}

/** Types and codes of ICMP and ICMPv6, with their names. */
export function fillIcmp(span: FlowSpan, record: FlowRecordView, out: Side): void {
  const { protocol } = record;
  const back = otherSide(out);
  const isIcmp = protocol === Protocol.ICMP || protocol === Protocol.ICMPV6;
  let isKnown = isIcmp && record.isIcmpKnown(out);
  span.icmpType = isKnown ? record.icmpType(out) : ABSENT;
  span.icmpCode = isKnown ? record.icmpCode(out) : ABSENT;
  span.icmpTypeName = isKnown ? icmpTypeName(protocol, span.icmpType) : "";
  span.icmpCodeName = isKnown ? icmpCodeName(protocol, span.icmpType, span.icmpCode) : "";
  isKnown = isIcmp && record.isIcmpKnown(back);
  span.reverseIcmpType = isKnown ? record.icmpType(back) : ABSENT;
  span.reverseIcmpCode = isKnown ? record.icmpCode(back) : ABSENT;
  span.reverseIcmpTypeName = isKnown ? icmpTypeName(protocol, span.reverseIcmpType) : "";
  span.reverseIcmpCodeName = isKnown ? icmpCodeName(protocol, span.reverseIcmpType, span.reverseIcmpCode) : "";
}

/** Flags, state and times of TCP. */
export function fillTcp(span: FlowSpan, record: FlowRecordView, out: Side, ends: Ends): void {
  const isTcp = record.protocol === Protocol.TCP;
  span.tcpFlags = isTcp ? record.tcpFlags(out) : ABSENT;
  span.reverseTcpFlags = isTcp ? record.tcpFlags(otherSide(out)) : ABSENT;
  span.connectionState = isTcp ? connectionState(record, out) : "";
  span.handshakeNs = isTcp && record.handshakeNs > 0 ? record.handshakeNs : ABSENT;
  const responder = isTcp ? responderSide(ends) : NO_SIDE;
  const isMeasured = responder !== NO_SIDE && record.latencyCount(responder) > 0;
  // Both are the time that the responder takes to answer: near it that is its own, near the initiator also the way.
  const isService = isMeasured && isOnThisHost(ends, responder);
  const isRoundTrip = isMeasured && isOnThisHost(ends, otherSide(responder));
  span.serviceLatencyNs = isService ? record.latencyNs(responder) : ABSENT;
  span.serviceJitterNs = isService ? record.jitterNs(responder) : ABSENT;
  span.roundTripLatencyNs = isRoundTrip ? record.latencyNs(responder) : ABSENT;
  span.roundTripJitterNs = isRoundTrip ? record.jitterNs(responder) : ABSENT;
}
