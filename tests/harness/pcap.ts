/** A small reader of pcap files: Ethernet, VLAN, IPv4 and IPv6 down to ports and ICMP types. */

/** Sender and receiver of one packet as the flow sees them; ICMP's "ports" are type and counter-type or code. */
export interface FiveTuple {
  protocol: number;
  sourceAddress: string;
  sourcePort: number;
  destinationAddress: string;
  destinationPort: number;
}

/** One captured IP packet; `bytes` is the length of the whole frame on the wire. */
export interface Packet extends FiveTuple {
  bytes: number;
}

const MAGICS = new Set([0xa1b2c3d4, 0xa1b23c4d]);
const LINKTYPE_ETHERNET = 1;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const VLAN_ETHERTYPES = new Set([0x8100, 0x88a8]);
/** Hop-by-hop, routing, fragment, destination options, mobility, HIP, Shim6 (IANA "IPv6 Extension Header Types"). */
const EXTENSION_HEADERS = new Set([0, 43, 44, 60, 135, 139, 140]);
const FRAGMENT_HEADER = 44;
/** Protocols whose header starts with source and destination port: TCP, UDP, DCCP, SCTP, UDP-Lite. */
const PORT_PROTOCOLS = new Set([6, 17, 33, 132, 136]);
const ICMP = 1;
const ICMPV6 = 58;

/**
 * Reads every IP packet of a little-endian pcap file; other frames (ARP) are left out.
 *
 * @throws {TypeError} when it is no Ethernet capture of that kind.
 */
export function* readPcap(file: Uint8Array): Generator<Packet> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 24 || !MAGICS.has(view.getUint32(0, true)) || view.getUint32(20, true) !== LINKTYPE_ETHERNET) {
    throw new TypeError("Cannot read the capture: it is not a little-endian Ethernet pcap file");
  }
  for (let at = 24; at + 16 <= file.length;) {
    const captured = view.getUint32(at + 8, true);
    const bytes = view.getUint32(at + 12, true);
    at += 16;
    const tuple = readFrame(new DataView(file.buffer, file.byteOffset + at, captured));
    if (tuple) yield { ...tuple, bytes };
    at += captured;
  }
}

function readFrame(frame: DataView): FiveTuple | undefined {
  let at = 12;
  while (VLAN_ETHERTYPES.has(frame.getUint16(at))) at += 4;
  const etherType = frame.getUint16(at);
  at += 2;
  if (etherType === ETHERTYPE_IPV4) return readIpv4(frame, at);
  if (etherType === ETHERTYPE_IPV6) return readIpv6(frame, at);
}

function readIpv4(frame: DataView, at: number): FiveTuple {
  const payloadAt = at + (frame.getUint8(at) & 15) * 4;
  const isLaterFragment = (frame.getUint16(at + 6) & 0x1fff) !== 0;
  const source = formatIpv4(frame, at + 12);
  const destination = formatIpv4(frame, at + 16);
  return withPorts(frame, frame.getUint8(at + 9), source, destination, isLaterFragment ? undefined : payloadAt);
}

function readIpv6(frame: DataView, at: number): FiveTuple {
  let protocol = frame.getUint8(at + 6);
  let payloadAt = at + 40;
  let isLaterFragment = false;
  while (EXTENSION_HEADERS.has(protocol) && !isLaterFragment) {
    if (protocol === FRAGMENT_HEADER) isLaterFragment = (frame.getUint16(payloadAt + 2) & 0xfff8) !== 0;
    const length = protocol === FRAGMENT_HEADER ? 8 : (frame.getUint8(payloadAt + 1) + 1) * 8;
    protocol = frame.getUint8(payloadAt);
    payloadAt += length;
  }
  const source = formatIpv6(frame, at + 8);
  const destination = formatIpv6(frame, at + 24);
  return withPorts(frame, protocol, source, destination, isLaterFragment ? undefined : payloadAt);
}

function withPorts(
  frame: DataView,
  protocol: number,
  sourceAddress: string,
  destinationAddress: string,
  payloadAt: number | undefined,
): FiveTuple {
  const tuple = { protocol, sourceAddress, sourcePort: 0, destinationAddress, destinationPort: 0 };
  if (payloadAt === undefined) return tuple;
  if (PORT_PROTOCOLS.has(protocol)) {
    tuple.sourcePort = frame.getUint16(payloadAt);
    tuple.destinationPort = frame.getUint16(payloadAt + 2);
  } else if (protocol === ICMP || protocol === ICMPV6) {
    tuple.sourcePort = frame.getUint8(payloadAt);
    tuple.destinationPort = frame.getUint8(payloadAt + 1);
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
