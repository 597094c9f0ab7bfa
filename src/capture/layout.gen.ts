// Generated from bpf-rs/types by `deno task generate`; do not edit.
// Byte offsets of the structs that the loader and the BPF programs share.

export const LAYOUT_HASH = "fdff3df7244760be";

export const FlowKey = {
  size: 40,
  a: 0,
  b: 16,
  portA: 32,
  portB: 34,
  protocol: 36,
  family: 37,
  pad: 38,
} as const;

export const Counters = {
  size: 16,
  packets: 0,
  bytes: 8,
} as const;

export const FlowSlot = {
  size: 192,
  ownerIfindex: 0,
  state: 4,
  firstSide: 5,
  firstEgress: 6,
  protocol: 7,
  lastNs: 8,
  windowFirstNs: 16,
  cutNs: 24,
  counted: 32,
  key: 64,
  tcpFlags: 104,
  syn: 120,
  synAck: 122,
  pad0: 124,
  otherHook: 128,
  other: 144,
  pad1: 176,
} as const;

export const Exported = {
  size: 32,
  counters: 0,
} as const;

export const HookCounters = {
  size: 88,
  packets: 0,
  bytes: 8,
  counted: 16,
  noted: 24,
  unparsed: 32,
  lost: 64,
} as const;

export const TableState = {
  size: 32,
  ready: 0,
  created: 8,
  freed: 16,
  armed: 24,
} as const;

export const SweepLimits = {
  size: 72,
  activeNs: 0,
  genericIdleNs: 8,
  icmpIdleNs: 16,
  tcpIdleNs: 24,
  tcpFinNs: 32,
  tcpRstNs: 40,
  udpIdleNs: 48,
  highWater: 56,
  lowWater: 60,
  force: 64,
  pad: 68,
} as const;

export const FlowRecord = {
  size: 144,
  key: 0,
  startUnixNs: 40,
  endUnixNs: 48,
  delta: 56,
  total: 88,
  slot: 120,
  ifindex: 124,
  tcpFlags: 132,
  synSide: 134,
  synAckSide: 135,
  firstSide: 136,
  endReason: 137,
  last: 138,
  first: 139,
  pad: 140,
} as const;

export const HookReport = {
  size: 96,
  ifindex: 0,
  egress: 4,
  counters: 8,
} as const;

export const TableReport = {
  size: 56,
  capacity: 0,
  used: 4,
  created: 8,
  freed: 16,
  pressed: 24,
  leaked: 32,
  openPackets: 40,
  hooks: 48,
  pad: 52,
} as const;

export const PROGRAM_NAMES = ["mermin_ingress", "mermin_egress", "mermin_ip_in", "mermin_ip_out"] as const;
export const UNPARSED_REASONS = ["not_ip", "truncated", "malformed", "too_deep"] as const;
export const LOST_REASONS = ["table_full", "index_error", "contended"] as const;

export const EndReasonCode = {
  IDLE_TIMEOUT: 1,
  ACTIVE_TIMEOUT: 2,
  END_OF_FLOW_DETECTED: 3,
  FORCED_END: 4,
  LACK_OF_RESOURCES: 5,
} as const;
