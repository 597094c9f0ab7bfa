/** One flow record as it leaves the agent: a reused, mutable view that exporters read and never keep. */

import type { ConnectionState } from "./connection_state.ts";
import type { Side } from "./ends.ts";

/** OTLP `Span.SpanKind` values that flows use. */
export const SpanKind = { INTERNAL: 1, SERVER: 2, CLIENT: 3 } as const;
export type SpanKind = typeof SpanKind[keyof typeof SpanKind];

export type FlowDirection = "forward" | "reverse" | "unknown";

/** IPFIX flowEndReason names (RFC 5102, section 5.11.3); `unknown` is for a record that names none of them. */
export type EndReason =
  | "idle_timeout"
  | "active_timeout"
  | "end_of_flow_detected"
  | "forced_end"
  | "lack_of_resources"
  | "unknown";

/** An unsigned 64-bit integer as two unsigned 32-bit halves, so that nanoseconds stay exact without BigInt. */
export interface U64 {
  lo: number;
  hi: number;
}

/** What is known of one end of a flow beyond its address, the same for many spans: attributes with their whole names. */
export interface EndFacts {
  readonly attributes: Iterable<readonly [name: string, value: string]>;
  /** The same as an exporter writes them, kept there by that exporter. */
  encoded?: Uint8Array;
}

/** Value of an integer attribute that is not known. */
export const ABSENT = -1;

/**
 * The one object that carries a flow from the pipeline to the exporters.
 *
 * It is reused for every flow: an exporter encodes it before it returns. Counters are non-negative safe integers,
 * `ABSENT` (-1) or `""` marks an optional attribute that is not known.
 */
export class FlowSpan {
  readonly traceId = new Uint8Array(16);
  readonly spanId = new Uint8Array(8);
  /** Nanoseconds since the Unix epoch: first and last packet of the window. */
  readonly startNs: U64 = { lo: 0, hi: 0 };
  readonly endNs: U64 = { lo: 0, hi: 0 };
  kind: SpanKind = SpanKind.INTERNAL;
  /** End of the canonical flow key that is the source. */
  sourceSide: Side = 0;
  /** `flow_<networkType>_<transport>`. */
  name = "";
  communityId = "";
  direction: FlowDirection = "unknown";
  endReason: EndReason = "idle_timeout";
  sourceAddress = "";
  destinationAddress = "";
  sourcePort = ABSENT;
  destinationPort = ABSENT;
  /** What the ends of a translated connection are called on the other side of the translation. */
  sourceNatAddress = "";
  destinationNatAddress = "";
  sourceNatPort = ABSENT;
  destinationNatPort = ABSENT;
  networkType: "ipv4" | "ipv6" = "ipv4";
  transport = "";
  interfaceName = "";
  interfaceIndex = 0;
  /** Lower-case, colon-separated. */
  interfaceMac = "";
  /** `""` unless the reverse direction was counted on another interface. */
  reverseInterfaceName = "";
  /** Names of the interfaces that saw the flow; empty unless there were several. */
  readonly interfaces: string[] = [];
  /** Innermost VLAN id. */
  vlan = ABSENT;
  packetsDelta = 0;
  bytesDelta = 0;
  reversePacketsDelta = 0;
  reverseBytesDelta = 0;
  packetsTotal = 0;
  bytesTotal = 0;
  reversePacketsTotal = 0;
  reverseBytesTotal = 0;
  /** TCP flags seen since the flow began, as bits (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128). */
  tcpFlags = ABSENT;
  reverseTcpFlags = ABSENT;
  connectionState: ConnectionState | "" = "";
  /** Nanoseconds from SYN to SYN-ACK. */
  handshakeNs = ABSENT;
  /** Nanoseconds from a request to its answer, as seen near the server, and their jitter. */
  serviceLatencyNs = ABSENT;
  serviceJitterNs = ABSENT;
  /** The same as seen near the client, which includes the way there and back. */
  roundTripLatencyNs = ABSENT;
  roundTripJitterNs = ABSENT;
  /** IP header of the first packet of each direction in the window. */
  dscp = ABSENT;
  ecn = ABSENT;
  ttl = ABSENT;
  flowLabel = ABSENT;
  reverseDscp = ABSENT;
  reverseEcn = ABSENT;
  reverseTtl = ABSENT;
  reverseFlowLabel = ABSENT;
  /** First ICMP message of each direction in the window. */
  icmpType = ABSENT;
  icmpTypeName = "";
  icmpCode = ABSENT;
  icmpCodeName = "";
  reverseIcmpType = ABSENT;
  reverseIcmpTypeName = "";
  reverseIcmpCode = ABSENT;
  reverseIcmpCodeName = "";
  /** Security parameters index that the source sends with. */
  ahSpi = ABSENT;
  espSpi = ABSENT;
  /** The objects of a cluster at the two ends. */
  sourceFacts: EndFacts | undefined = undefined;
  destinationFacts: EndFacts | undefined = undefined;
  /** Network policies that let it pass, by name. */
  ingressPolicies: readonly string[] = [];
  egressPolicies: readonly string[] = [];
}
