/** One flow record as it leaves the agent: a reused, mutable view that exporters read and never keep. */

/** OTLP `Span.SpanKind` values that flows use. */
export const SpanKind = { INTERNAL: 1, SERVER: 2, CLIENT: 3 } as const;
export type SpanKind = typeof SpanKind[keyof typeof SpanKind];

export type FlowDirection = "forward" | "reverse" | "unknown";

/** IPFIX flowEndReason names (RFC 5102, section 5.11.3). */
export type EndReason =
  | "idle_timeout"
  | "active_timeout"
  | "end_of_flow_detected"
  | "forced_end"
  | "lack_of_resources";

/** An unsigned 64-bit integer as two unsigned 32-bit halves, so that nanoseconds stay exact without BigInt. */
export interface U64 {
  lo: number;
  hi: number;
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
  /** `flow_<networkType>_<transport>`. */
  name = "";
  communityId = "";
  direction: FlowDirection = "unknown";
  endReason: EndReason = "idle_timeout";
  sourceAddress = "";
  destinationAddress = "";
  sourcePort = ABSENT;
  destinationPort = ABSENT;
  networkType: "ipv4" | "ipv6" = "ipv4";
  transport = "";
  interfaceName = "";
  interfaceIndex = 0;
  /** Lower-case, colon-separated. */
  interfaceMac = "";
  /** `""` unless the reverse direction was counted on another interface. */
  reverseInterfaceName = "";
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
}
