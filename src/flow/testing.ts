/** Builders for tests of flow code. */

import { isIPv4 } from "node:net";
import { addressText } from "./address.ts";
import { type MaybeSide, NO_SIDE, type Side } from "./ends.ts";
import { type FlowRecordView, MAX_INTERFACES, Nat, NO_VLAN } from "./record.ts";
import type { U64 } from "./span.ts";
import { Tuple } from "./tuple.ts";

/** Bytes of an IP address given as text. */
export function addressBytes(text: string): Uint8Array {
  if (isIPv4(text)) return Uint8Array.from(text.split("."), Number);
  const [head, tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::")
    .map((half) => half === "" ? [] : half.split(":"));
  const zeros = tail === undefined ? [] : Array(8 - head.length - tail.length).fill("0");
  const groups = [...head, ...zeros, ...(tail ?? [])].map((group) => parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

/** A tuple as a packet from `first` to `second` shows it; for ICMP the ports are type and code. */
export function tupleOf(first: string, second: string, protocol: number, firstPort = 0, secondPort = 0): Tuple {
  const [a, b] = [addressBytes(first), addressBytes(second)];
  // Offsets that are not 0, as in the poll buffer.
  const buffer = Uint8Array.from([...Array(3), ...a, 7, 7, ...b]);
  const tuple = new Tuple();
  tuple.load(buffer, 3, 3 + a.length + 2, a.length, protocol, firstPort, secondPort);
  return tuple;
}

/** What a flow record says, end A and side 0 first. */
export interface RecordValues {
  addresses: [a: string, b: string];
  ports: [a: number, b: number];
  protocol: number;
  /** One of `Nat`; what follows means nothing with `NONE`. */
  nat: number;
  natAddresses: [a: string, b: string];
  natPorts: [a: number, b: number];
  natFrom: MaybeSide;
  slot: number;
  isFirst: boolean;
  isLast: boolean;
  endReasonCode: number;
  synFrom: MaybeSide;
  synAckFrom: MaybeSide;
  firstFrom: MaybeSide;
  finFrom: MaybeSide;
  isEstablished: boolean;
  vlan: number;
  handshakeNs: number;
  /** Nanoseconds since the Unix epoch. */
  startNs: bigint;
  endNs: bigint;
  /** `ifindex << 1 | egress`. */
  hook: [number, number];
  /** Interfaces that saw the flow. */
  interfaces: number[];
  packetsDelta: [number, number];
  bytesDelta: [number, number];
  packetsTotal: [number, number];
  bytesTotal: [number, number];
  tcpFlags: [number, number];
  isFinAcked: [boolean, boolean];
  latencyNs: [number, number];
  jitterNs: [number, number];
  latencyCount: [number, number];
  isIpKnown: [boolean, boolean];
  trafficClass: [number, number];
  ttl: [number, number];
  flowLabel: [number, number];
  isIcmpKnown: [boolean, boolean];
  icmpType: [number, number];
  icmpCode: [number, number];
  spi: [number, number];
}

/** The first record of a TCP flow that end B began and that goes on, changed by `change`. */
export function recordValues(change: Partial<RecordValues> = {}): RecordValues {
  return {
    addresses: ["10.0.0.1", "10.0.0.2"],
    ports: [443, 51234],
    protocol: 6,
    nat: Nat.NONE,
    natAddresses: ["0.0.0.0", "0.0.0.0"],
    natPorts: [0, 0],
    natFrom: NO_SIDE,
    slot: 3,
    isFirst: true,
    isLast: false,
    endReasonCode: 2,
    synFrom: 1,
    synAckFrom: 0,
    firstFrom: 1,
    finFrom: NO_SIDE,
    isEstablished: true,
    vlan: NO_VLAN,
    handshakeNs: 0,
    startNs: 1_700_000_000_123_456_789n,
    endNs: 1_700_000_001_323_456_790n,
    hook: [4, 5],
    interfaces: [2],
    packetsDelta: [11, 12],
    bytesDelta: [1100, 1200],
    packetsTotal: [111, 112],
    bytesTotal: [11100, 11200],
    tcpFlags: [0x12, 0x1b],
    isFinAcked: [false, false],
    latencyNs: [0, 0],
    jitterNs: [0, 0],
    latencyCount: [0, 0],
    isIpKnown: [true, true],
    trafficClass: [0, 0],
    ttl: [64, 64],
    flowLabel: [0, 0],
    isIcmpKnown: [false, false],
    icmpType: [0, 0],
    icmpCode: [0, 0],
    spi: [0, 0],
    ...change,
  };
}

/** A record with these values, without the kernel's layout. */
export function flowRecord(change: Partial<RecordValues> = {}): FlowRecordView {
  const values = recordValues(change);
  const [a, b] = values.addresses.map(addressBytes);
  const [natA, natB] = values.natAddresses.map(addressBytes);
  return {
    ...values,
    // Offsets that are not 0, as in the buffer of the loader.
    bytes: Uint8Array.from([...Array(5), ...a, ...b, ...natA, ...natB]),
    addressAOffset: 5,
    addressBOffset: 5 + a.length,
    addressBytes: a.length,
    natAOffset: 5 + 2 * a.length,
    natBOffset: 5 + 2 * a.length + natA.length,
    natPortA: values.natPorts[0],
    natPortB: values.natPorts[1],
    portA: values.ports[0],
    portB: values.ports[1],
    readStart: (out) => splitNs(values.startNs, out),
    readEnd: (out) => splitNs(values.endNs, out),
    ifindex: (side) => values.hook[side] >>> 1,
    hook: (side) => values.hook[side],
    seenIfindex: (place) => values.interfaces[place] ?? 0,
    packetsDelta: (side) => values.packetsDelta[side],
    bytesDelta: (side) => values.bytesDelta[side],
    packetsTotal: (side) => values.packetsTotal[side],
    bytesTotal: (side) => values.bytesTotal[side],
    tcpFlags: (side) => values.tcpFlags[side],
    isFinAcked: (side) => values.isFinAcked[side],
    latencyNs: (side) => values.latencyNs[side],
    jitterNs: (side) => values.jitterNs[side],
    latencyCount: (side) => values.latencyCount[side],
    isIpKnown: (side) => values.isIpKnown[side],
    trafficClass: (side) => values.trafficClass[side],
    ttl: (side) => values.ttl[side],
    flowLabel: (side) => values.flowLabel[side],
    isIcmpKnown: (side) => values.isIcmpKnown[side],
    icmpType: (side) => values.icmpType[side],
    icmpCode: (side) => values.icmpCode[side],
    spi: (side) => values.spi[side],
  };
}

/** All that `record` tells, as plain values: for comparing two records. */
export function valuesOf(record: FlowRecordView): RecordValues {
  const both = <T>(read: (side: Side) => T): [T, T] => [read(0), read(1)];
  const address = (offset: number) => addressText(record.bytes, offset, record.addressBytes);
  const ns = (read: (out: U64) => void) => {
    const out = { lo: 0, hi: 0 };
    read(out);
    return joinNs(out);
  };
  const { protocol, slot, isFirst, isLast, endReasonCode, synFrom, synAckFrom, firstFrom } = record;
  const { finFrom, isEstablished, vlan, handshakeNs, nat, natFrom } = record;
  return {
    ...{ protocol, slot, isFirst, isLast, endReasonCode, synFrom, synAckFrom, firstFrom },
    ...{ finFrom, isEstablished, vlan, handshakeNs, nat, natFrom },
    natAddresses: nat === Nat.NONE ? ["0.0.0.0", "0.0.0.0"] : [address(record.natAOffset), address(record.natBOffset)],
    natPorts: [record.natPortA, record.natPortB],
    addresses: [address(record.addressAOffset), address(record.addressBOffset)],
    ports: [record.portA, record.portB],
    startNs: ns((out) => record.readStart(out)),
    endNs: ns((out) => record.readEnd(out)),
    hook: both((side) => record.hook(side)),
    interfaces: Array.from({ length: MAX_INTERFACES }, (_, place) => record.seenIfindex(place)).filter((index) =>
      index > 0
    ),
    packetsDelta: both((side) => record.packetsDelta(side)),
    bytesDelta: both((side) => record.bytesDelta(side)),
    packetsTotal: both((side) => record.packetsTotal(side)),
    bytesTotal: both((side) => record.bytesTotal(side)),
    tcpFlags: both((side) => record.tcpFlags(side)),
    isFinAcked: both((side) => record.isFinAcked(side)),
    latencyNs: both((side) => record.latencyNs(side)),
    jitterNs: both((side) => record.jitterNs(side)),
    latencyCount: both((side) => record.latencyCount(side)),
    isIpKnown: both((side) => record.isIpKnown(side)),
    trafficClass: both((side) => record.trafficClass(side)),
    ttl: both((side) => record.ttl(side)),
    flowLabel: both((side) => record.flowLabel(side)),
    isIcmpKnown: both((side) => record.isIcmpKnown(side)),
    icmpType: both((side) => record.icmpType(side)),
    icmpCode: both((side) => record.icmpCode(side)),
    spi: both((side) => record.spi(side)),
  };
}

/** Nanoseconds of both halves. */
export function joinNs({ lo, hi }: U64): bigint {
  return BigInt(hi) << 32n | BigInt(lo);
}

function splitNs(ns: bigint, out: U64): void {
  out.lo = Number(ns & 0xffff_ffffn);
  out.hi = Number(ns >> 32n);
}
