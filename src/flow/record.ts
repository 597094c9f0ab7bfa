import type { MaybeSide, Side } from "./ends.ts";
import type { U64 } from "./span.ts";

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
  /** Names the flow as long as it is open; below the table's capacity. */
  readonly slot: number;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  /** IPFIX flowEndReason. */
  readonly endReasonCode: number;
  readonly synFrom: MaybeSide;
  readonly synAckFrom: MaybeSide;
  readonly firstFrom: MaybeSide;
  /** First and last packet of the window, nanoseconds since the Unix epoch. */
  readStart(out: U64): void;
  readEnd(out: U64): void;
  /** Index of the interface that counted what this side sent. */
  ifindex(side: Side): number;
  packetsDelta(side: Side): number;
  bytesDelta(side: Side): number;
  packetsTotal(side: Side): number;
  bytesTotal(side: Side): number;
  /** TCP flags that this side ever sent, as bits. */
  tcpFlags(side: Side): number;
}
