// Generated from bpf-rs/types by `deno task generate`; do not edit.
// Byte offsets of the structs that the loader and the BPF programs share.

export const LAYOUT_HASH = "7acf25bf48f85941";

export const FlowKey = {
  size: 40,
  a: 0,
  b: 16,
  portA: 32,
  portB: 34,
  protocol: 36,
  family: 37,
  vlan: 38,
} as const;

export const Counters = {
  size: 16,
  packets: 0,
  bytes: 8,
} as const;

export const FlowSlot = {
  size: 384,
  lastNs: 0,
  windowFirstNs: 16,
  counted: 32,
  key: 64,
  cutNs: 104,
  ownerHook: 112,
  state: 120,
  firstSide: 121,
  gapOpen: 122,
  vlan: 124,
  icmpKnown: 126,
  tcpFlags: 128,
  dataNs: 144,
  synNs: 160,
  synAckNs: 168,
  finEnd: 176,
  syn: 184,
  synAck: 186,
  finAcked: 188,
  firstFin: 190,
  established: 191,
  answerSumNs: 192,
  answerCount: 208,
  answerLastNs: 216,
  answerJitterNs: 232,
  claim: 248,
  pad: 252,
  flowLabel: 256,
  spi: 264,
  trafficClass: 272,
  ttl: 274,
  icmpType: 276,
  icmpCode: 278,
  interfaces: 280,
  otherHook: 304,
  createdNs: 312,
  otherLastNs: 320,
  gapSinceNs: 336,
  gap: 352,
} as const;

export const Exported = {
  size: 56,
  counters: 0,
  answerSumNs: 32,
  answerCount: 48,
} as const;

export const Step = {
  size: 88,
  stage: 0,
  slot: 4,
  exported: 8,
  taken: 64,
  records: 72,
  freed: 80,
} as const;

export const HookCounters = {
  size: 96,
  packets: 0,
  bytes: 8,
  counted: 16,
  duplicate: 24,
  keyScopeConflict: 32,
  unparsed: 40,
  lost: 72,
} as const;

export const HookBooked = {
  size: 24,
  hook: 0,
  pad: 4,
  filtered: 8,
  moved: 16,
} as const;

export const TableState = {
  size: 168,
  ready: 0,
  created: 8,
  freed: 16,
  armed: 24,
  taken: 32,
  filtered: 40,
  top: 48,
  records: 56,
  settled: 64,
  killed: 72,
  step: 80,
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
  size: 288,
  key: 0,
  startUnixNs: 40,
  endUnixNs: 48,
  delta: 56,
  total: 88,
  handshakeNs: 120,
  latencyNs: 128,
  jitterNs: 144,
  natA: 160,
  natB: 176,
  latencyCount: 192,
  slot: 200,
  hook: 204,
  interfaces: 212,
  flowLabel: 236,
  spi: 244,
  vlan: 252,
  natPort: 254,
  tcpFlags: 258,
  trafficClass: 260,
  ttl: 262,
  icmpType: 264,
  icmpCode: 266,
  ipKnown: 268,
  icmpKnown: 270,
  finAcked: 272,
  synSide: 274,
  synAckSide: 275,
  finSide: 276,
  firstSide: 277,
  established: 278,
  endReason: 279,
  last: 280,
  first: 281,
  nat: 282,
  natFrom: 283,
  pad: 284,
} as const;

export const HookReport = {
  size: 112,
  ifindex: 0,
  egress: 4,
  counters: 8,
  filtered: 104,
} as const;

export const TableReport = {
  size: 104,
  capacity: 0,
  used: 4,
  created: 8,
  freed: 16,
  pressed: 24,
  leaked: 32,
  openPackets: 40,
  taken: 48,
  filtered: 56,
  killed: 64,
  hooks: 72,
  conntrackEntries: 76,
  conntrackEvents: 80,
  conntrackLost: 88,
  conntrackOverflows: 96,
} as const;

export const PROGRAM_NAMES = [
  "mermin_ingress",
  "mermin_egress",
  "mermin_ip_in",
  "mermin_ip_out",
  "mermin_off",
] as const;
export const UNPARSED_REASONS = ["not_ip", "truncated", "malformed", "too_deep"] as const;
export const LOST_REASONS = ["table_full", "index_error", "contended"] as const;

export const EndReasonCode = {
  IDLE_TIMEOUT: 1,
  ACTIVE_TIMEOUT: 2,
  END_OF_FLOW_DETECTED: 3,
  FORCED_END: 4,
  LACK_OF_RESOURCES: 5,
} as const;

export const NatCode = {
  NONE: 0,
  ORIGINAL: 1,
  TRANSLATED: 2,
} as const;
