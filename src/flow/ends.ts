/** Which end of a flow is its source, and what role it plays there. */

import { IcmpRole, icmpRole } from "./icmp.ts";
import { type FlowDirection, SpanKind } from "./span.ts";

/** An end of the canonical flow key: 0 is A, the end that sorts first (see `tuple.ts`), 1 is B. */
export type Side = 0 | 1;

/** No end is known for a piece of evidence. */
export const NO_SIDE = -1;
export type MaybeSide = Side | typeof NO_SIDE;

/** IANA system ports end before this number (RFC 6335, section 6); only privileged programs may listen on them. */
const SYSTEM_PORTS_END = 1024;
/** Linux takes ephemeral ports from here (default of `net.ipv4.ip_local_port_range`). */
const EPHEMERAL_PORTS_START = 32768;

/** All that is known about the two ends when a flow's first span is made; reused by the caller. */
export interface EndsEvidence {
  /** End that sent the first TCP SYN without ACK. */
  synFrom: MaybeSide;
  /** End that sent the first TCP SYN with ACK. */
  synAckFrom: MaybeSide;
  /** End that began the connection by the host's connection tracking. */
  trackedFrom: MaybeSide;
  /** The one end that owns a listening socket for this flow. */
  listener: MaybeSide;
  /** End that sends ICMP requests (see {@link icmpRequestSide}). */
  icmpRequestFrom: MaybeSide;
  /** Transport ports; 0 where the protocol has none. */
  portA: number;
  portB: number;
  /** Whether the end's address belongs to this host. */
  aIsLocal: boolean;
  bIsLocal: boolean;
  /** End that sent the first packet seen. */
  firstFrom: MaybeSide;
}

/**
 * The verdict as one integer below 32, so that a flow can keep it without an object: bit 0 is the source's side, bits 1
 * and 2 are its `SpanKind`, bits 3 and 4 say whether the source and the destination are on this host.
 */
export type Ends = number;

const KIND_SHIFT = 1;
const KIND_MASK = 3;
const SOURCE_IS_LOCAL = 8;
const DESTINATION_IS_LOCAL = 16;

/**
 * Judges the ends of a flow. The source is the end on this host when exactly one is, else the initiator, else the
 * sender of the first packet; it is CLIENT when it began the flow, SERVER when the other end did, else INTERNAL.
 */
export function judgeEnds(evidence: EndsEvidence): Ends {
  const initiator = initiatorOf(evidence);
  const source = sourceOf(evidence, initiator);
  const kind = initiator === NO_SIDE ? SpanKind.INTERNAL : initiator === source ? SpanKind.CLIENT : SpanKind.SERVER;
  const { aIsLocal, bIsLocal } = evidence;
  return source | kind << KIND_SHIFT |
    ((source === 0 ? aIsLocal : bIsLocal) ? SOURCE_IS_LOCAL : 0) |
    ((source === 0 ? bIsLocal : aIsLocal) ? DESTINATION_IS_LOCAL : 0);
}

/** The end that is the source. */
export function sourceSide(ends: Ends): Side {
  return ends & 1 ? 1 : 0;
}

/** Kind of the flow's spans. */
export function endsKind(ends: Ends): SpanKind {
  return (ends >> KIND_SHIFT & KIND_MASK) as SpanKind;
}

/** The end that answers, or `NO_SIDE` when the roles are not known. */
export function responderSide(ends: Ends): MaybeSide {
  const kind = endsKind(ends);
  if (kind === SpanKind.INTERNAL) return NO_SIDE;
  return kind === SpanKind.SERVER ? sourceSide(ends) : otherSide(sourceSide(ends));
}

/** Whether `side` is an end on this host. */
export function isOnThisHost(ends: Ends, side: Side): boolean {
  return (ends & (side === sourceSide(ends) ? SOURCE_IS_LOCAL : DESTINATION_IS_LOCAL)) !== 0;
}

/** `flow.direction`, which follows from the kind: CLIENT is forward, SERVER reverse, INTERNAL unknown. */
export function endsDirection(ends: Ends): FlowDirection {
  const kind = endsKind(ends);
  return kind === SpanKind.CLIENT ? "forward" : kind === SpanKind.SERVER ? "reverse" : "unknown";
}

/** The end of an ICMP flow that asks, told by the message type that the canonical tuple has as end A's port. */
export function icmpRequestSide(protocol: number, portA: number): MaybeSide {
  const role = icmpRole(protocol, portA);
  return role === IcmpRole.NONE ? NO_SIDE : role === IcmpRole.REQUEST ? 0 : 1;
}

/** The end that began the flow, by the strongest evidence there is. */
function initiatorOf(evidence: EndsEvidence): MaybeSide {
  // A SYN outranks a SYN-ACK: in a simultaneous open both ends send both, and the first SYN began it.
  if (evidence.synFrom !== NO_SIDE) return evidence.synFrom;
  if (evidence.synAckFrom !== NO_SIDE) return otherSide(evidence.synAckFrom);
  if (evidence.trackedFrom !== NO_SIDE) return evidence.trackedFrom;
  if (evidence.listener !== NO_SIDE) return otherSide(evidence.listener);
  if (evidence.icmpRequestFrom !== NO_SIDE) return evidence.icmpRequestFrom;
  if (isSystemPort(evidence.portA) && isEphemeralPort(evidence.portB)) return 1;
  if (isSystemPort(evidence.portB) && isEphemeralPort(evidence.portA)) return 0;
  return NO_SIDE;
}

function sourceOf(evidence: EndsEvidence, initiator: MaybeSide): Side {
  if (evidence.aIsLocal !== evidence.bIsLocal) return evidence.aIsLocal ? 0 : 1;
  if (initiator !== NO_SIDE) return initiator;
  return evidence.firstFrom === 1 ? 1 : 0;
}

/** The other end. */
export function otherSide(side: Side): Side {
  return side === 0 ? 1 : 0;
}

function isSystemPort(port: number): boolean {
  return port > 0 && port < SYSTEM_PORTS_END;
}

function isEphemeralPort(port: number): boolean {
  return port >= EPHEMERAL_PORTS_START;
}
