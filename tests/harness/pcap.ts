/** A small reader of pcap files: Ethernet, VLAN, IPv4 and IPv6 down to ports and ICMP types. */

/** Sender and receiver of one packet as the flow sees them; ICMP's "ports" are type and counter-type or code. */
export interface FiveTuple {
  protocol: number;
  sourceAddress: string;
  sourcePort: number;
  destinationAddress: string;
  destinationPort: number;
}

/** What a flow counts of a packet; `bytes` is the length of the whole frame on the wire. */
export interface CountedPacket extends FiveTuple {
  bytes: number;
}

/** One captured IP packet. */
export interface Packet extends CountedPacket {
  /** When it was captured, since the Unix epoch. */
  timeNs: bigint;
  /** TTL or hop limit. */
  ttl: number;
  /** DSCP and ECN. */
  trafficClass: number;
  /** 0 for IPv4. */
  flowLabel: number;
  /** The innermost 802.1Q tag. */
  vlan?: number;
  tcp?: { flags: number; sequence: number; acknowledgement: number; payload: number };
}

/** What stands between the Ethernet and the transport header. */
type Layers = Omit<Packet, "bytes" | "timeNs">;

/** Nanoseconds of the fractional part of the time, by the file's magic number. */
const FRACTION_NS = new Map([[0xa1b2c3d4, 1000n], [0xa1b23c4d, 1n]]);
const LINKTYPE_ETHERNET = 1;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const VLAN_ETHERTYPES = new Set([0x8100, 0x88a8]);
/** Hop-by-hop, routing, fragment, destination options, mobility, HIP, Shim6 (IANA "IPv6 Extension Header Types"). */
const EXTENSION_HEADERS = new Set([0, 43, 44, 60, 135, 139, 140]);
const FRAGMENT_HEADER = 44;
/** Protocols whose header starts with source and destination port: TCP, UDP, DCCP, SCTP, UDP-Lite. */
const PORT_PROTOCOLS = new Set([6, 17, 33, 132, 136]);
const TCP = 6;
const ICMP = 1;
const ICMPV6 = 58;

/**
 * Reads every IP packet of a little-endian pcap file; other frames (ARP) are left out.
 *
 * @throws {TypeError} when it is no Ethernet capture of that kind.
 */
export function* readPcap(file: Uint8Array): Generator<Packet> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const fractionNs = file.length < 24 ? undefined : FRACTION_NS.get(view.getUint32(0, true));
  if (fractionNs === undefined || view.getUint32(20, true) !== LINKTYPE_ETHERNET) {
    throw new TypeError("Cannot read the capture: it is not a little-endian Ethernet pcap file");
  }
  for (let at = 24; at + 16 <= file.length;) {
    const timeNs = BigInt(view.getUint32(at, true)) * 1_000_000_000n +
      BigInt(view.getUint32(at + 4, true)) * fractionNs;
    const captured = view.getUint32(at + 8, true);
    const bytes = view.getUint32(at + 12, true);
    at += 16;
    const layers = readFrame(new DataView(file.buffer, file.byteOffset + at, captured));
    if (layers) yield { ...layers, bytes, timeNs };
    at += captured;
  }
}

function readFrame(frame: DataView): Layers | undefined {
  let at = 12;
  let tag: { vlan?: number } = {};
  for (; VLAN_ETHERTYPES.has(frame.getUint16(at)); at += 4) tag = { vlan: frame.getUint16(at + 2) & 0xfff };
  const etherType = frame.getUint16(at);
  at += 2;
  if (etherType === ETHERTYPE_IPV4) return { ...readIpv4(frame, at), ...tag };
  if (etherType === ETHERTYPE_IPV6) return { ...readIpv6(frame, at), ...tag };
}

function readIpv4(frame: DataView, at: number): Layers {
  const header = (frame.getUint8(at) & 15) * 4;
  const payload = { at: at + header, bytes: frame.getUint16(at + 2) - header };
  const isLaterFragment = (frame.getUint16(at + 6) & 0x1fff) !== 0;
  const source = formatIpv4(frame, at + 12);
  const destination = formatIpv4(frame, at + 16);
  return {
    ...withPorts(frame, frame.getUint8(at + 9), source, destination, isLaterFragment ? undefined : payload),
    ttl: frame.getUint8(at + 8),
    trafficClass: frame.getUint8(at + 1),
    flowLabel: 0,
  };
}

function readIpv6(frame: DataView, at: number): Layers {
  let protocol = frame.getUint8(at + 6);
  let payloadAt = at + 40;
  const endAt = payloadAt + frame.getUint16(at + 4);
  let isLaterFragment = false;
  while (EXTENSION_HEADERS.has(protocol) && !isLaterFragment) {
    if (protocol === FRAGMENT_HEADER) isLaterFragment = (frame.getUint16(payloadAt + 2) & 0xfff8) !== 0;
    const length = protocol === FRAGMENT_HEADER ? 8 : (frame.getUint8(payloadAt + 1) + 1) * 8;
    protocol = frame.getUint8(payloadAt);
    payloadAt += length;
  }
  const source = formatIpv6(frame, at + 8);
  const destination = formatIpv6(frame, at + 24);
  const payload = { at: payloadAt, bytes: endAt - payloadAt };
  return {
    ...withPorts(frame, protocol, source, destination, isLaterFragment ? undefined : payload),
    ttl: frame.getUint8(at + 7),
    trafficClass: frame.getUint16(at) >> 4 & 0xff,
    flowLabel: frame.getUint32(at) & 0xfffff,
  };
}

function withPorts(
  frame: DataView,
  protocol: number,
  sourceAddress: string,
  destinationAddress: string,
  payload: { at: number; bytes: number } | undefined,
): FiveTuple & Pick<Packet, "tcp"> {
  const tuple: FiveTuple & Pick<Packet, "tcp"> = {
    protocol,
    sourceAddress,
    sourcePort: 0,
    destinationAddress,
    destinationPort: 0,
  };
  if (payload === undefined) return tuple;
  const { at } = payload;
  if (PORT_PROTOCOLS.has(protocol)) {
    tuple.sourcePort = frame.getUint16(at);
    tuple.destinationPort = frame.getUint16(at + 2);
  } else if (protocol === ICMP || protocol === ICMPV6) {
    tuple.sourcePort = frame.getUint8(at);
    tuple.destinationPort = frame.getUint8(at + 1);
  }
  if (protocol === TCP) {
    tuple.tcp = {
      flags: frame.getUint8(at + 13),
      sequence: frame.getUint32(at + 4),
      acknowledgement: frame.getUint32(at + 8),
      payload: payload.bytes - (frame.getUint8(at + 12) >> 4) * 4,
    };
  }
  return tuple;
}

function formatIpv4(frame: DataView, at: number): string {
  return Array.from({ length: 4 }, (_, i) => frame.getUint8(at + i)).join(".");
}

/** RFC 5952: lower case, no leading zeros, the longest run of zero groups (two or more, the first such) as `::`. */
function formatIpv6(frame: DataView, at: number): string {
  const text = Array.from({ length: 8 }, (_, i) => frame.getUint16(at + i * 2).toString(16)).join(":");
  let longest = { index: 0, length: 0 };
  for (const { index, 0: run } of text.matchAll(/\b0(?::0)+\b/g)) {
    if (run.length > longest.length) longest = { index, length: run.length };
  }
  if (longest.length === 0) return text;
  const before = text.slice(0, longest.index).replace(/:$/, "");
  const after = text.slice(longest.index + longest.length).replace(/^:/, "");
  return `${before}::${after}`;
}
