/** The state of a TCP connection, as its source end has it. */

import { NO_SIDE, otherSide, type Side } from "./ends.ts";
import type { FlowRecordView } from "./record.ts";
import { TcpFlag } from "./tcp_flags.ts";

/** States of RFC 9293, section 3.3.2, without LISTEN, which no packet shows; FIN-WAIT-1 and -2 are one. */
export const CONNECTION_STATES = [
  "syn_sent",
  "syn_received",
  "established",
  "fin_wait",
  "close_wait",
  "closing",
  "last_ack",
  "time_wait",
  "closed",
] as const;
export type ConnectionState = typeof CONNECTION_STATES[number];

/** What of a record tells the state. */
export type TcpEvidence = Pick<
  FlowRecordView,
  "synFrom" | "synAckFrom" | "finFrom" | "isEstablished" | "tcpFlags" | "isFinAcked"
>;

/**
 * The state that end `source` has after the packets seen so far, or `""` when none of them tells.
 *
 * What is seen counts as received. The first row that fits decides:
 *
 * | seen | state |
 * | --- | --- |
 * | an RST of either end | `closed` |
 * | FINs of both ends; the other's came first and is acknowledged; the source's is acknowledged too | `closed` |
 * | the same, the source's not acknowledged | `last_ack` |
 * | FINs of both ends otherwise; the source's is acknowledged | `time_wait` |
 * | the same, not acknowledged (both closed at once) | `closing` |
 * | a FIN of the source | `fin_wait` |
 * | a FIN of the other end | `close_wait` |
 * | more than a handshake, or its middle | `established` |
 * | a SYN-ACK of the source, or SYNs of both ends (both opened at once) | `syn_received` |
 * | a SYN of the other end, even if the source never answers | `syn_received` |
 * | a SYN of the source, or a SYN-ACK that it has not acknowledged | `syn_sent` |
 *
 * An observer at the source sees its packets in the order in which the source has them, so there the state is exact;
 * elsewhere FINs that cross on the way may pass for one that answers the other.
 */
export function connectionState(record: TcpEvidence, source: Side): ConnectionState | "" {
  const other = otherSide(source);
  const own = record.tcpFlags(source);
  const others = record.tcpFlags(other);
  if ((own | others) & TcpFlag.RST) return "closed";
  if ((own | others) & TcpFlag.FIN) return closingState(record, source, own, others);
  if (record.isEstablished) return "established";
  if (!((own | others) & TcpFlag.SYN)) return "";
  return openingState(record, source, own, others);
}

function closingState(record: TcpEvidence, source: Side, own: number, others: number): ConnectionState {
  if (!(others & TcpFlag.FIN)) return "fin_wait";
  if (!(own & TcpFlag.FIN)) return "close_wait";
  const other = otherSide(source);
  // An end that has received a FIN acknowledges it with all it sends: unless it does, both closed at once.
  const isAnswer = record.finFrom === other && record.isFinAcked(other);
  if (isAnswer) return record.isFinAcked(source) ? "closed" : "last_ack";
  return record.isFinAcked(source) ? "time_wait" : "closing";
}

function openingState(record: TcpEvidence, source: Side, own: number, others: number): ConnectionState {
  if (record.synAckFrom === source) return "syn_received";
  if (!(others & TcpFlag.SYN)) return "syn_sent";
  if (record.synAckFrom === NO_SIDE) return "syn_received";
  // The other end acknowledges a SYN of the source, unless it had sent one of its own before.
  return own & TcpFlag.SYN && record.synFrom === record.synAckFrom ? "syn_received" : "syn_sent";
}
