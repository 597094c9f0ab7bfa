/**
 * The table of scenarios: what is sent, and what both observers must say about it.
 *
 * Client and server of the frames are the two ends of one veth pair, `left` and `right`, each watched by an agent that
 * knows only its own address. What follows from the packets alone (addresses, counters, headers, flags) is not written
 * here: `reference.ts` finds it in the capture. All the rest is, so that table and capture together are every attribute of
 * the span.
 */

import { type Frame, type IpFields, type Segment, type Talk, tcpFrames, udpFrames } from "../harness/frames.ts";
import type { Network } from "../harness/netns.ts";
import type { Attributes } from "../harness/otlp_json.ts";

export type Kind = "INTERNAL" | "SERVER" | "CLIENT";

/** One span as it must be; `packets` is the number of packets of its window, by default all that are left. */
export interface ExpectedSpan {
  kind: Kind;
  packets?: number;
  attributes: Attributes;
  /** Times between packets that it must have; their values are those of the capture. */
  times: string[];
  /** It belongs to a flow of its own: its totals begin anew. */
  isNewFlow?: boolean;
}

export interface Scenario {
  name: string;
  family: "ipv4" | "ipv6";
  /** The flow is known by them. */
  clientPort: number;
  serverPort: number;
  clientIp?: IpFields;
  serverIp?: IpFields;
  segments?: Segment[];
  datagrams?: Parameters<typeof udpFrames>[1];
  /** By observer. */
  left?: ExpectedSpan[];
  right?: ExpectedSpan[];
}

/** The limits that the scenarios are made for. */
export const TIMEOUTS = {
  max_record_interval: "60s",
  generic_timeout: "2s",
  icmp_timeout: "2s",
  tcp_timeout: "3s",
  tcp_fin_timeout: "1s",
  tcp_rst_timeout: "1s",
  udp_timeout: "2s",
} as const;

export const HANDSHAKE = "flow.tcp.handshake.latency";
export const ROUND_TRIP = ["flow.tcp.rndtrip.latency", "flow.tcp.rndtrip.jitter"];
export const SERVICE = ["flow.tcp.svc.latency", "flow.tcp.svc.jitter"];
const DIRECTION: Record<Kind, string> = { CLIENT: "forward", SERVER: "reverse", INTERNAL: "unknown" };

/** One line of the table below: kind, TCP state, end reason, times, and whatever else the span must say. */
export function tcp(kind: Kind, state: string, reason: string, times: string[] = [], more: Partial<ExpectedSpan> = {}) {
  const judged = {
    "flow.direction": DIRECTION[kind],
    "flow.end_reason": reason,
    "flow.connection.state": state,
  };
  return { kind, times, attributes: judged, ...more };
}

/** The same for other protocols. */
export function plain(kind: Kind, reason = "idle_timeout"): ExpectedSpan {
  return { kind, times: [], attributes: { "flow.direction": DIRECTION[kind], "flow.end_reason": reason } };
}

const OPEN: Segment[] = [["client", 0, "syn"], ["server", 20, "syn ack"], ["client", 40, "ack"]];

export const SCENARIOS: Scenario[] = [
  {
    name: "a full TCP connection with DSCP, ECN and TTL of its own",
    family: "ipv4",
    clientPort: 40_001,
    serverPort: 443,
    clientIp: { dscp: 46, ecn: 2, ttl: 61 },
    serverIp: { dscp: 10, ecn: 3, ttl: 200 },
    segments: [
      ["client", 0, "syn ece cwr"],
      ["server", 150, "syn ack ece"],
      ["client", 160, "ack"],
      ["client", 200, "psh ack", 100],
      ["server", 300, "psh ack", 1000],
      ["client", 310, "ack"],
      ["client", 400, "psh ack", 50],
      ["server", 600, "psh ack", 500],
      ["client", 610, "ack"],
      ["client", 700, "fin ack"],
      ["server", 720, "fin ack"],
      ["client", 740, "ack"],
    ],
    left: [tcp("CLIENT", "time_wait", "end_of_flow_detected", [HANDSHAKE, ...ROUND_TRIP])],
    right: [tcp("SERVER", "closed", "end_of_flow_detected", [HANDSHAKE, ...SERVICE])],
  },
  {
    name: "a full TCP connection over IPv6 with flow labels and a VLAN",
    family: "ipv6",
    clientPort: 40_002,
    serverPort: 443,
    clientIp: { flowLabel: 0xabcde, vlan: 42, ttl: 255 },
    serverIp: { flowLabel: 0x12345, vlan: 42, ttl: 1, dscp: 63 },
    segments: [
      ...OPEN,
      ["client", 60, "psh ack", 10],
      ["server", 200, "psh ack", 10],
      ["server", 220, "fin ack"],
      ["client", 240, "ack"],
      ["client", 300, "fin ack"],
      ["server", 320, "ack"],
    ],
    left: [tcp("CLIENT", "closed", "end_of_flow_detected", [HANDSHAKE, ...ROUND_TRIP])],
    right: [tcp("SERVER", "time_wait", "end_of_flow_detected", [HANDSHAKE, ...SERVICE])],
  },
  {
    name: "half-open: a SYN, repeated, that nobody answers",
    family: "ipv4",
    clientPort: 40_003,
    serverPort: 443,
    segments: [["client", 0, "syn"], ["client", 1000, "syn"], ["client", 2500, "syn"]],
    left: [tcp("CLIENT", "syn_sent", "idle_timeout")],
    right: [tcp("SERVER", "syn_received", "idle_timeout")],
  },
  {
    name: "half-open: a SYN-ACK that nobody acknowledges",
    family: "ipv4",
    clientPort: 40_004,
    serverPort: 443,
    segments: [["client", 0, "syn"], ["server", 20, "syn ack"], ["server", 1000, "syn ack"]],
    left: [tcp("CLIENT", "syn_sent", "idle_timeout", [HANDSHAKE])],
    right: [tcp("SERVER", "syn_received", "idle_timeout", [HANDSHAKE])],
  },
  {
    name: "a reset in the middle",
    family: "ipv4",
    clientPort: 40_005,
    serverPort: 443,
    segments: [...OPEN, ["client", 60, "psh ack", 300], ["server", 200, "rst ack"]],
    left: [tcp("CLIENT", "closed", "end_of_flow_detected", [HANDSHAKE])],
    right: [tcp("SERVER", "closed", "end_of_flow_detected", [HANDSHAKE])],
  },
  {
    name: "a simultaneous close, in the client's order",
    family: "ipv4",
    clientPort: 40_006,
    serverPort: 443,
    segments: [
      ...OPEN,
      ["client", 100, "fin ack"],
      ["server", 110, "fin ack", 0, 1],
      ["client", 120, "ack"],
      ["server", 130, "ack"],
    ],
    left: [tcp("CLIENT", "time_wait", "end_of_flow_detected", [HANDSHAKE])],
  },
  {
    name: "a simultaneous close, in the server's order",
    family: "ipv4",
    clientPort: 40_007,
    serverPort: 443,
    segments: [
      ...OPEN,
      ["server", 100, "fin ack"],
      ["client", 110, "fin ack", 0, 1],
      ["server", 120, "ack"],
      ["client", 130, "ack"],
    ],
    right: [tcp("SERVER", "time_wait", "end_of_flow_detected", [HANDSHAKE])],
  },
  {
    name: "a simultaneous close without its last acknowledgements",
    family: "ipv4",
    clientPort: 40_008,
    serverPort: 443,
    segments: [...OPEN, ["client", 100, "fin ack"], ["server", 110, "fin ack", 0, 1]],
    left: [tcp("CLIENT", "closing", "end_of_flow_detected", [HANDSHAKE])],
  },
  {
    name: "a close by the client that the server only acknowledges",
    family: "ipv4",
    clientPort: 40_009,
    serverPort: 443,
    segments: [...OPEN, ["client", 100, "fin ack"], ["server", 120, "ack"]],
    // The server may go on for long, so this is no end of the flow.
    left: [tcp("CLIENT", "fin_wait", "idle_timeout", [HANDSHAKE])],
    right: [tcp("SERVER", "close_wait", "idle_timeout", [HANDSHAKE])],
  },
  {
    name: "a close without the last acknowledgement",
    family: "ipv4",
    clientPort: 40_010,
    serverPort: 443,
    segments: [...OPEN, ["client", 100, "fin ack"], ["server", 120, "ack"], ["server", 200, "fin ack"]],
    left: [tcp("CLIENT", "time_wait", "end_of_flow_detected", [HANDSHAKE])],
    right: [tcp("SERVER", "last_ack", "end_of_flow_detected", [HANDSHAKE])],
  },
  {
    name: "a long idle connection that goes on",
    family: "ipv4",
    clientPort: 40_011,
    serverPort: 443,
    segments: [
      ...OPEN,
      ["client", 60, "psh ack", 100],
      ["server", 100, "psh ack", 100],
      ["client", 6000, "psh ack", 100],
      ["server", 6100, "psh ack", 100],
      ["client", 6200, "fin ack"],
      ["server", 6220, "fin ack"],
      ["client", 6240, "ack"],
    ],
    left: [
      tcp("CLIENT", "established", "idle_timeout", [HANDSHAKE, ...ROUND_TRIP], { packets: 5 }),
      tcp("CLIENT", "time_wait", "end_of_flow_detected", ROUND_TRIP, { isNewFlow: true }),
    ],
    right: [
      tcp("SERVER", "established", "idle_timeout", [HANDSHAKE, ...SERVICE], { packets: 5 }),
      tcp("SERVER", "closed", "end_of_flow_detected", SERVICE, { isNewFlow: true }),
    ],
  },
  {
    name: "a port that is used again within a second, after a close",
    family: "ipv4",
    clientPort: 40_017,
    serverPort: 443,
    segments: [
      ...OPEN,
      ["client", 60, "psh ack", 100],
      ["server", 100, "psh ack", 200],
      ["client", 200, "fin ack"],
      ["server", 220, "fin ack"],
      ["client", 240, "ack"],
      ["client", 700, "syn"],
      ["server", 750, "syn ack"],
      ["client", 760, "ack"],
      ["server", 800, "fin ack"],
      ["client", 820, "fin ack"],
      ["server", 840, "ack"],
    ],
    left: [
      tcp("CLIENT", "time_wait", "end_of_flow_detected", [HANDSHAKE, ...ROUND_TRIP], { packets: 8 }),
      tcp("CLIENT", "closed", "end_of_flow_detected", [HANDSHAKE], { isNewFlow: true }),
    ],
    right: [
      tcp("SERVER", "closed", "end_of_flow_detected", [HANDSHAKE, ...SERVICE], { packets: 8 }),
      tcp("SERVER", "time_wait", "end_of_flow_detected", [HANDSHAKE], { isNewFlow: true }),
    ],
  },
  {
    name: "a port that is used again within a second, after a refusal",
    family: "ipv6",
    clientPort: 40_018,
    serverPort: 443,
    segments: [["client", 0, "syn"], ["server", 20, "rst ack"], ["client", 300, "syn"], ["server", 320, "rst ack"]],
    left: [
      tcp("CLIENT", "closed", "end_of_flow_detected", [], { packets: 2 }),
      tcp("CLIENT", "closed", "end_of_flow_detected", [], { isNewFlow: true }),
    ],
    right: [
      tcp("SERVER", "closed", "end_of_flow_detected", [], { packets: 2 }),
      tcp("SERVER", "closed", "end_of_flow_detected", [], { isNewFlow: true }),
    ],
  },
  {
    name: "a connection first met in its middle, roles told by the ports",
    family: "ipv4",
    clientPort: 40_012,
    serverPort: 443,
    segments: [["server", 0, "psh ack", 10], ["client", 30, "ack"], ["client", 50, "psh ack", 10]],
    left: [tcp("CLIENT", "established", "idle_timeout")],
    right: [tcp("SERVER", "established", "idle_timeout")],
  },
  {
    name: "a connection first met in its middle, roles not known",
    family: "ipv4",
    clientPort: 40_013,
    serverPort: 50_013,
    segments: [["server", 0, "psh ack", 10], ["client", 30, "psh ack", 10]],
    left: [tcp("INTERNAL", "established", "idle_timeout")],
    right: [tcp("INTERNAL", "established", "idle_timeout")],
  },
  {
    name: "a connection first met at its SYN-ACK",
    family: "ipv6",
    clientPort: 40_014,
    serverPort: 50_014,
    segments: [["server", 0, "syn ack"], ["client", 20, "ack"], ["client", 40, "psh ack", 5], [
      "server",
      140,
      "ack",
      5,
    ]],
    left: [tcp("CLIENT", "established", "idle_timeout", ROUND_TRIP)],
    right: [tcp("SERVER", "established", "idle_timeout", SERVICE)],
  },
  {
    name: "one-way UDP with DSCP and ECN",
    family: "ipv4",
    clientPort: 40_015,
    serverPort: 514,
    clientIp: { dscp: 8, ecn: 1, ttl: 17 },
    datagrams: [["client", 0, 10], ["client", 10, 500], ["client", 20, 0]],
    left: [plain("CLIENT")],
    right: [plain("SERVER")],
  },
  {
    name: "UDP request and answer in a VLAN, over IPv6",
    family: "ipv6",
    clientPort: 40_016,
    serverPort: 53,
    clientIp: { vlan: 4094, flowLabel: 1 },
    serverIp: { vlan: 4094, flowLabel: 0 },
    datagrams: [["client", 0, 40], ["server", 30, 400]],
    left: [plain("CLIENT")],
    right: [plain("SERVER")],
  },
];

/** All frames of the scenarios, `left` being the client; they run side by side. */
export function framesOf({ left, right }: Network): Frame[] {
  return SCENARIOS.flatMap(({ segments, datagrams, ...ends }) => {
    const talk: Talk = { ...ends, client: left, server: right };
    return segments ? tcpFrames(talk, segments) : udpFrames(talk, datagrams!);
  });
}
