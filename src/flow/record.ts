import type { MaybeSide, Side } from "./ends.ts";
import type { U64 } from "./span.ts";

/** No VLAN tag. */
export const NO_VLAN = 0xffff;

/** Most interfaces that a record names. */
export const MAX_INTERFACES = 6;

/** How a record's tuple relates to a translation (NAT) of the connection; the numbers are those of the record. */
export const Nat = {
  /** There is none, or nobody knows. */
  NONE: 0,
  /** The tuple is how who began the connection sees it, `nat…` how it is behind the translation. */
  ORIGINAL: 1,
  /** The other way round. */
  TRANSLATED: 2,
} as const;

/**
 * One flow record as the kernel side hands it out, in terms of the canonical key: end A sorts first (see `tuple.ts`), side
 * 0 is what A sends, side 1 what B sends. All counters are non-negative integers.
 */
export interface FlowRecordView {
  /** The bytes that the address offsets point into. */
  readonly bytes: Uint8Array;
  readonly addressAOffset: number;
  readonly addressBOffset: number;
  /** 4 or 16. */
  readonly addressBytes: number;
  /** Ports; for ICMP types and codes as Community ID maps them; otherwise 0. */
  readonly portA: number;
  readonly portB: number;
  readonly protocol: number;
  /** One of {@link Nat}. */
  readonly nat: number;
  /** What the ends are called on the other side of a translation, when `nat` is not `NONE`. */
  readonly natAOffset: number;
  readonly natBOffset: number;
  readonly natPortA: number;
  readonly natPortB: number;
  /** Who began a translated connection. */
  readonly natFrom: MaybeSide;
  /** Names the flow as long as it is open; below the table's capacity. */
  readonly slot: number;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  /** IPFIX flowEndReason. */
  readonly endReasonCode: number;
  readonly synFrom: MaybeSide;
  readonly synAckFrom: MaybeSide;
  readonly firstFrom: MaybeSide;
  /** Side that sent the first TCP FIN. */
  readonly finFrom: MaybeSide;
  /** More of a TCP connection than its handshake was seen. */
  readonly isEstablished: boolean;
  /** Innermost VLAN id of the first packet, or {@link NO_VLAN}. */
  readonly vlan: number;
  /** Nanoseconds from SYN to SYN-ACK; 0 when not seen. */
  readonly handshakeNs: number;
  /** First and last packet of the window, nanoseconds since the Unix epoch. */
  readStart(out: U64): void;
  readEnd(out: U64): void;
  /** Index of the interface that counts what this side sends. */
  ifindex(side: Side): number;
  /** The hook there: `ifindex << 1 | egress`. */
  hook(side: Side): number;
  /** Index of the `place`th interface (0 to {@link MAX_INTERFACES} − 1) that saw the flow, or 0. */
  seenIfindex(place: number): number;
  packetsDelta(side: Side): number;
  bytesDelta(side: Side): number;
  packetsTotal(side: Side): number;
  bytesTotal(side: Side): number;
  /** TCP flags that this side ever sent, as bits. */
  tcpFlags(side: Side): number;
  /** Whether the other side acknowledged this side's FIN. */
  isFinAcked(side: Side): boolean;
  /** Nanoseconds from a payload of the other side to this side's answer: mean over the answers of this window. */
  latencyNs(side: Side): number;
  /** Smoothed difference between such times, nanoseconds (RFC 3550, 6.4.1). */
  jitterNs(side: Side): number;
  /** Answers of this side in this window; with 0 the two times above mean nothing. */
  latencyCount(side: Side): number;
  /** Whether this side sent a packet in this window; without, the next three mean nothing. */
  isIpKnown(side: Side): boolean;
  /** DSCP and ECN bits of the side's first packet in the window. */
  trafficClass(side: Side): number;
  /** TTL or hop limit. */
  ttl(side: Side): number;
  /** IPv6 flow label, 0 for IPv4. */
  flowLabel(side: Side): number;
  /** Whether this side sent an ICMP or ICMPv6 message in this window; without, the next two mean nothing. */
  isIcmpKnown(side: Side): boolean;
  icmpType(side: Side): number;
  icmpCode(side: Side): number;
  /** Security parameters index of AH or ESP, or 0. */
  spi(side: Side): number;
}
