/** What a span must say about packets that tcpdump saw, found in the obvious way: by looking at every packet. */

import type { Attributes } from "../harness/otlp_json.ts";
import type { Packet } from "../harness/pcap.ts";

/** The interface that counted. */
export interface Interface {
  name: string;
  index: number;
  mac: string;
}

/** One window of a flow: the packets before it since the flow began, and its own. */
export interface Window {
  earlier: Packet[];
  packets: Packet[];
}

const TRANSPORTS: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
const SYN = 2;
const ACK = 16;
/** IANA "Differentiated Services Field Codepoints", those of the scenarios; 63 has no name. */
const DSCP_NAMES: Record<number, string> = { 0: "cs0", 8: "cs1", 10: "af11", 46: "ef", 48: "cs6" };
/** RFC 3168, by number. */
const ECN_NAMES = ["not-ect", "ect1", "ect0", "ce"];
/** IANA "ICMP Parameters" and "ICMPv6 Parameters", those of the scenarios: protocol and type, with the codes that have a name. */
const ICMP_NAMES: Record<string, { name: string; codes?: Record<number, string> }> = {
  "1/0": { name: "echo_reply" },
  "1/3": { name: "destination_unreachable", codes: { 3: "port_unreachable" } },
  "1/8": { name: "echo" },
  "1/11": { name: "time_exceeded", codes: { 0: "time_to_live_exceeded_in_transit" } },
  "58/1": { name: "destination_unreachable", codes: { 4: "port_unreachable" } },
  "58/3": { name: "time_exceeded", codes: { 0: "hop_limit_exceeded_in_transit" } },
  "58/128": { name: "echo_request" },
  "58/129": { name: "echo_reply" },
};
const FLAG_NAMES = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];

/** Attributes whose values are times between packets, which the hook and tcpdump see at slightly different moments. */
export const TIME_ATTRIBUTES = new Set([
  "flow.tcp.handshake.latency",
  "flow.tcp.svc.latency",
  "flow.tcp.svc.jitter",
  "flow.tcp.rndtrip.latency",
  "flow.tcp.rndtrip.jitter",
]);

/**
 * All attributes that follow from the packets alone, for a span whose source is `source`; what is judged (direction, end
 * reason, state, who measures latencies) is not among them.
 */
export function attributesOf(window: Window, source: string, communityId: string, counting: Interface): Attributes {
  const { earlier, packets } = window;
  const [first] = packets;
  const isFromSource = ({ sourceAddress }: Packet) => sourceAddress === source;
  const [own, peer] = isFromSource(first) ? ["source", "destination"] as const : ["destination", "source"] as const;
  const hasPorts = first.protocol === TCP || first.protocol === UDP;
  const whole = [...earlier, ...packets];
  const attributes: Attributes = {
    "flow.community_id": communityId,
    "source.address": first[`${own}Address`],
    "destination.address": first[`${peer}Address`],
    ...(hasPorts && { "source.port": first[`${own}Port`], "destination.port": first[`${peer}Port`] }),
    "network.type": first.sourceAddress.includes(":") ? "ipv6" : "ipv4",
    "network.transport": TRANSPORTS[first.protocol],
    "network.interface.name": counting.name,
    "network.interface.index": counting.index,
    "network.interface.mac": counting.mac,
    ...(whole[0].vlan !== undefined && { "network.vlan.id": whole[0].vlan }),
  };
  for (const [prefix, isOurs] of [["flow", isFromSource], ["flow.reverse", not(isFromSource)]] as const) {
    Object.assign(attributes, countersOf(prefix, packets.filter(isOurs), whole.filter(isOurs)));
    if (first.protocol === TCP) Object.assign(attributes, flagsOf(prefix, whole.filter(isOurs)));
    Object.assign(attributes, headersOf(prefix, packets.find(isOurs)));
  }
  return attributes;
}

function not(test: (packet: Packet) => boolean): (packet: Packet) => boolean {
  return (packet) => !test(packet);
}

function countersOf(prefix: string, window: Packet[], whole: Packet[]): Attributes {
  const bytes = (packets: Packet[]) => packets.reduce((sum, packet) => sum + packet.bytes, 0);
  return {
    [`${prefix}.packets.delta`]: window.length,
    [`${prefix}.bytes.delta`]: bytes(window),
    [`${prefix}.packets.total`]: whole.length,
    [`${prefix}.bytes.total`]: bytes(whole),
  };
}

function flagsOf(prefix: string, whole: Packet[]): Attributes {
  const bits = whole.reduce((sum, { tcp }) => sum | tcp!.flags, 0);
  const tags = FLAG_NAMES.filter((_, bit) => bits & 1 << bit);
  return { [`${prefix}.tcp.flags.bits`]: bits, ...(bits > 0 && { [`${prefix}.tcp.flags.tags`]: tags }) };
}

function headersOf(prefix: string, first: Packet | undefined): Attributes {
  if (!first) return {};
  const { trafficClass, ttl, flowLabel, sourceAddress } = first;
  const dscpName = DSCP_NAMES[trafficClass >> 2];
  return {
    [`${prefix}.ip.dscp.id`]: trafficClass >> 2,
    ...(dscpName && { [`${prefix}.ip.dscp.name`]: dscpName }),
    [`${prefix}.ip.ecn.id`]: trafficClass & 3,
    [`${prefix}.ip.ecn.name`]: ECN_NAMES[trafficClass & 3],
    [`${prefix}.ip.ttl`]: ttl,
    ...(sourceAddress.includes(":") && { [`${prefix}.ip.flow_label`]: flowLabel }),
    ...icmpOf(prefix, first),
  };
}

function icmpOf(prefix: string, { protocol, sourcePort: type, destinationPort: code }: Packet): Attributes {
  if (protocol !== ICMP && protocol !== ICMPV6) return {};
  const names = ICMP_NAMES[`${protocol}/${type}`];
  const codeName = names.codes?.[code];
  return {
    [`${prefix}.icmp.type.id`]: type,
    [`${prefix}.icmp.type.name`]: names.name,
    [`${prefix}.icmp.code.id`]: code,
    ...(codeName && { [`${prefix}.icmp.code.name`]: codeName }),
  };
}

/** From the first SYN to the first SYN-ACK after it, nanoseconds; `undefined` when one of them is missing. */
export function handshakeNs(packets: Packet[]): number | undefined {
  const syn = packets.find(({ tcp }) => (tcp!.flags & (SYN | ACK)) === SYN);
  const answer = packets.find(({ tcp }) => (tcp!.flags & (SYN | ACK)) === (SYN | ACK));
  return syn && answer ? Number(answer.timeNs - syn.timeNs) : undefined;
}

/**
 * How long `server` took to answer, nanoseconds: from the last payload of the other end to the first one that answers it;
 * the mean, and the jitter as in RFC 3550, 6.4.1. `undefined` when it never answered.
 */
export function answerTimes(packets: Packet[], server: string): { latency: number; jitter: number } | undefined {
  let askedNs: bigint | undefined;
  const times: number[] = [];
  for (const { timeNs, tcp, sourceAddress } of packets) {
    if (tcp!.payload === 0) continue;
    if (sourceAddress !== server) askedNs = timeNs;
    else if (askedNs !== undefined) {
      times.push(Number(timeNs - askedNs));
      askedNs = undefined;
    }
  }
  if (times.length === 0) return undefined;
  let jitter = 0;
  for (let i = 1; i < times.length; i++) jitter += (Math.abs(times[i] - times[i - 1]) - jitter) / 16;
  return { latency: times.reduce((sum, time) => sum + time, 0) / times.length, jitter };
}
