import assert from "node:assert/strict";
import { type CountedPacket, type Packet, readPcap } from "./pcap.ts";

/** A pcap file with one frame per item; `bytes` of the wire default to what is captured. */
function pcap(frames: { hex: string; bytes?: number }[], linkType = 1): Uint8Array {
  const parts: number[] = [];
  const u32 = (value: number) => parts.push(value & 255, value >> 8 & 255, value >> 16 & 255, value >>> 24);
  u32(0xa1b2c3d4);
  for (const word of [0x00040002, 0, 0, 128, linkType]) u32(word);
  for (const { hex, bytes } of frames) {
    const frame = Uint8Array.fromHex(hex.replaceAll(" ", ""));
    for (const word of [0, 0, frame.length, bytes ?? frame.length]) u32(word);
    parts.push(...frame);
  }
  return new Uint8Array(parts);
}

const MACS = "020000770002 020000770001";
const IPV4_UDP = "45 00 0020 0000 0000 40 11 0000 0a4d0001 0a4d0002";
const IPV6_ADDRESSES = "fd770000000000000000000000000001 20010db8000000010000000000010000";
const PORTS = "3039 0035 0008 0000";
const UDP_V4: CountedPacket = {
  protocol: 17,
  sourceAddress: "10.77.0.1",
  sourcePort: 12345,
  destinationAddress: "10.77.0.2",
  destinationPort: 53,
  bytes: 42,
};
const UDP_V6: CountedPacket = {
  ...UDP_V4,
  sourceAddress: "fd77::1",
  destinationAddress: "2001:db8:0:1::1:0",
  bytes: 62,
};

const cases: { name: string; hex: string; bytes?: number; expected: CountedPacket[] }[] = [
  { name: "UDP over IPv4", hex: `${MACS} 0800 ${IPV4_UDP} ${PORTS}`, expected: [UDP_V4] },
  {
    name: "the length on the wire of a cut packet",
    hex: `${MACS} 0800 ${IPV4_UDP} ${PORTS}`,
    bytes: 1514,
    expected: [{ ...UDP_V4, bytes: 1514 }],
  },
  {
    name: "UDP behind two VLAN tags",
    hex: `${MACS} 88a8 0001 8100 0002 0800 ${IPV4_UDP} ${PORTS}`,
    expected: [{ ...UDP_V4, bytes: 50 }],
  },
  {
    name: "a later fragment, which has no ports",
    hex: `${MACS} 0800 ${IPV4_UDP.replace("0000 0000 40", "0000 00b9 40")} ${PORTS}`,
    expected: [{ ...UDP_V4, sourcePort: 0, destinationPort: 0 }],
  },
  { name: "UDP over IPv6", hex: `${MACS} 86dd 60000000 0008 11 40 ${IPV6_ADDRESSES} ${PORTS}`, expected: [UDP_V6] },
  {
    name: "UDP behind IPv6 extension headers",
    hex: `${MACS} 86dd 60000000 0020 00 40 ${IPV6_ADDRESSES} 2c 01 ${"00".repeat(14)} 11 00 0001 00000000 ${PORTS}`,
    expected: [{ ...UDP_V6, bytes: 86 }],
  },
  {
    name: "ICMP with type and code",
    hex: `${MACS} 0800 ${IPV4_UDP.replace("40 11", "40 01")} 03 01 0000 00000000`,
    expected: [{ ...UDP_V4, protocol: 1, sourcePort: 3, destinationPort: 1 }],
  },
  {
    name: "another protocol by number",
    hex: `${MACS} 0800 ${IPV4_UDP.replace("40 11", "40 fc")} ${PORTS}`,
    expected: [{ ...UDP_V4, protocol: 252, sourcePort: 0, destinationPort: 0 }],
  },
  { name: "no ARP", hex: `${MACS} 0806 0001080006040001`, expected: [] },
];

for (const { name, hex, bytes, expected } of cases) {
  Deno.test(`readPcap() reads ${name}`, () => {
    assert.deepEqual([...readPcap(pcap([{ hex, bytes }]))].map(counted), expected);
  });
}

/** Without what the cases above are not about. */
function counted(packet: Packet): CountedPacket {
  const { timeNs: _timeNs, ttl: _ttl, trafficClass: _class, flowLabel: _label, vlan: _vlan, tcp: _tcp, ...rest } =
    packet;
  return rest;
}

Deno.test("readPcap() reads time, VLAN, and the fields of IP and TCP", () => {
  const tcp = "3039 0035 00000001 fffffff0 5018 faf0 0000 0000 0102030405";
  const ipv4 = "45 b9 002d 0000 0000 3f 06 0000 0a4d0001 0a4d0002";
  const file = pcap([
    { hex: `${MACS} 88a8 0001 8100 600a 0800 ${ipv4} ${tcp}` },
    { hex: `${MACS} 86dd 6b9abcde 0008 11 40 ${IPV6_ADDRESSES} ${PORTS}` },
  ]);
  new DataView(file.buffer).setUint32(24, 1_800_000_000, true);
  new DataView(file.buffer).setUint32(28, 999_999, true);
  const [first, second] = readPcap(file);
  const { timeNs, ttl, trafficClass, flowLabel, vlan } = first;
  assert.deepEqual([timeNs, ttl, trafficClass, flowLabel, vlan], [1_800_000_000_999_999_000n, 63, 0xb9, 0, 10]);
  assert.deepEqual(first.tcp, { flags: 0x18, sequence: 1, acknowledgement: 0xfffffff0, payload: 5 });
  assert.deepEqual([second.ttl, second.trafficClass, second.flowLabel, second.vlan], [64, 0xb9, 0xabcde, undefined]);
  new DataView(file.buffer).setUint32(0, 0xa1b23c4d, true);
  assert.equal([...readPcap(file)][0].timeNs, 1_800_000_000_000_999_999n);
});

Deno.test("readPcap() reads several packets and stops at a file cut in a header", () => {
  const file = pcap([{ hex: `${MACS} 0800 ${IPV4_UDP} ${PORTS}` }, { hex: `${MACS} 0800 ${IPV4_UDP} ${PORTS}` }]);
  assert.equal([...readPcap(file)].length, 2);
  assert.equal([...readPcap(file.subarray(0, file.length - 50))].length, 1);
});

Deno.test("readPcap() refuses another link type", () => {
  assert.throws(() => [...readPcap(pcap([], 113))], /not a little-endian Ethernet pcap/);
});
