/** Ethernet frames made to measure, for `traffic play`: what real sockets cannot be talked into. */

import type { End } from "./netns.ts";

/** The IP header's fields that a sender chooses; the defaults are those of Linux. */
export interface IpFields {
  ttl?: number;
  /** 0 to 63. */
  dscp?: number;
  /** 0 to 3. */
  ecn?: number;
  /** IPv6, 20 bits. */
  flowLabel?: number;
  /** 802.1Q tag, 12 bits. */
  vlan?: number;
}

/** One frame: from which end, how many milliseconds after the start. */
export interface Frame {
  from: "left" | "right";
  atMs: number;
  bytes: Uint8Array;
}

/** Nobody's: the frame passes both ends, and their stacks do not answer it. */
const NOBODY = "02:00:00:77:00:ff";
const ETHERTYPES = { ipv4: 0x0800, ipv6: 0x86dd };
const VLAN = 0x8100;
const TCP = 6;
const UDP = 17;
/** In the order of their bits (RFC 9293, section 3.1). */
const TCP_FLAGS = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];
const TCP_WINDOW = 64_240;

function bytesOfMac(mac: string): number[] {
  return mac.split(":").map((pair) => parseInt(pair, 16));
}

function bytesOfAddress(address: string): number[] {
  if (!address.includes(":")) return address.split(".").map(Number);
  const [before, after] = address.split("::").map((part) => part === "" ? [] : part.split(":"));
  const groups = after ? [...before, ...Array(8 - before.length - after.length).fill("0"), ...after] : before;
  return groups.map((group) => parseInt(group, 16)).flatMap(word);
}

function word(value: number): number[] {
  return [value >> 8 & 0xff, value & 0xff];
}

function long(value: number): number[] {
  return [...word(value >>> 16), ...word(value)];
}

/** RFC 1071. */
function checksum(bytes: number[]): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function ipHeader(from: string, to: string, protocol: number, payload: number, fields: IpFields): number[] {
  const { ttl = 64, dscp = 0, ecn = 0, flowLabel = 0 } = fields;
  const trafficClass = dscp << 2 | ecn;
  const addresses = [...bytesOfAddress(from), ...bytesOfAddress(to)];
  if (from.includes(":")) {
    return [...long((6 << 28 | trafficClass << 20 | flowLabel) >>> 0), ...word(payload), protocol, ttl, ...addresses];
  }
  const start = [0x45, trafficClass, ...word(20 + payload), 0, 0, 0x40, 0, ttl, protocol];
  return [...start, ...word(checksum([...start, 0, 0, ...addresses])), ...addresses];
}

/** The pseudo-header of TCP's and UDP's checksum (RFC 9293, section 3.1; RFC 8200, section 8.1). */
function pseudoHeader(from: string, to: string, protocol: number, length: number): number[] {
  return [...bytesOfAddress(from), ...bytesOfAddress(to), ...word(length), ...word(protocol)];
}

function frame(sender: End, from: string, to: string, protocol: number, segment: number[], fields: IpFields) {
  const type = from.includes(":") ? ETHERTYPES.ipv6 : ETHERTYPES.ipv4;
  const tag = fields.vlan === undefined ? [] : [...word(VLAN), ...word(fields.vlan)];
  const ethernet = [...bytesOfMac(NOBODY), ...bytesOfMac(sender.mac), ...tag, ...word(type)];
  return new Uint8Array([...ethernet, ...ipHeader(from, to, protocol, segment.length, fields), ...segment]);
}

/** Two ends that talk: who began, over which ports and with which IP fields. */
export interface Talk {
  family: "ipv4" | "ipv6";
  client: End;
  clientPort: number;
  server: End;
  serverPort: number;
  clientIp?: IpFields;
  serverIp?: IpFields;
}

/**
 * A TCP segment: who sends which flags (such as `"syn ack"`) and how many bytes of payload, and when; and how many sequence
 * numbers the peer has sent that have not come yet.
 */
export type Segment = [sender: "client" | "server", atMs: number, flags: string, payload?: number, underWay?: number];

function isClientLeft({ client, server }: Talk): boolean {
  return client.ipv4 < server.ipv4;
}

function sendFrom(talk: Talk, sender: Segment[0]): Frame["from"] {
  return (sender === "client") === isClientLeft(talk) ? "left" : "right";
}

function endsOf(talk: Talk, sender: Segment[0]) {
  const [own, peer] = sender === "client" ? [talk.client, talk.server] : [talk.server, talk.client];
  const ports = [talk.clientPort, talk.serverPort];
  return {
    own,
    from: own[talk.family],
    to: peer[talk.family],
    ports: (sender === "client" ? ports : ports.reverse()).flatMap(word),
    fields: (sender === "client" ? talk.clientIp : talk.serverIp) ?? {},
  };
}

/** A TCP connection, segment by segment; sequence numbers follow from what was sent before. */
export function tcpFrames(talk: Talk, segments: Segment[]): Frame[] {
  const next = { client: 1000, server: 0x7fff_fff0 };
  return segments.map(([sender, atMs, flagNames, payload = 0, underWay = 0]) => {
    const { own, from, to, ports, fields } = endsOf(talk, sender);
    const names = flagNames.split(" ");
    const flags = names.reduce((bits, name) => bits | 1 << TCP_FLAGS.indexOf(name), 0);
    const acknowledged = names.includes("ack") ? next[sender === "client" ? "server" : "client"] - underWay : 0;
    const head = [...ports, ...long(next[sender]), ...long(acknowledged), 0x50, flags, ...word(TCP_WINDOW)];
    const body = Array(payload).fill(0);
    const sum = checksum([...pseudoHeader(from, to, TCP, 20 + payload), ...head, 0, 0, 0, 0, ...body]);
    next[sender] += payload + Number(names.includes("syn")) + Number(names.includes("fin"));
    const segment = [...head, ...word(sum), 0, 0, ...body];
    return { from: sendFrom(talk, sender), atMs, bytes: frame(own, from, to, TCP, segment, fields) };
  });
}

/** UDP datagrams. */
export function udpFrames(talk: Talk, datagrams: [sender: "client" | "server", atMs: number, payload: number][]) {
  return datagrams.map(([sender, atMs, payload]): Frame => {
    const { own, from, to, ports, fields } = endsOf(talk, sender);
    const head = [...ports, ...word(8 + payload)];
    const body = Array(payload).fill(0);
    const sum = checksum([...pseudoHeader(from, to, UDP, 8 + payload), ...head, 0, 0, ...body]);
    const datagram = [...head, ...word(sum || 0xffff), ...body];
    return { from: sendFrom(talk, sender), atMs, bytes: frame(own, from, to, UDP, datagram, fields) };
  });
}
