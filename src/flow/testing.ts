/** Builders for tests of flow code. */

import { isIPv4 } from "node:net";
import { addressText } from "./address.ts";
import type { MaybeSide, Side } from "./ends.ts";
import type { FlowRecordView } from "./record.ts";
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
  slot: number;
  isFirst: boolean;
  isLast: boolean;
  endReasonCode: number;
  synFrom: MaybeSide;
  synAckFrom: MaybeSide;
  firstFrom: MaybeSide;
  /** Nanoseconds since the Unix epoch. */
  startNs: bigint;
  endNs: bigint;
  ifindex: [number, number];
  packetsDelta: [number, number];
  bytesDelta: [number, number];
  packetsTotal: [number, number];
  bytesTotal: [number, number];
  tcpFlags: [number, number];
}

/** The first record of a TCP flow that end B began and that goes on, changed by `change`. */
export function recordValues(change: Partial<RecordValues> = {}): RecordValues {
  return {
    addresses: ["10.0.0.1", "10.0.0.2"],
    ports: [443, 51234],
    protocol: 6,
    slot: 3,
    isFirst: true,
    isLast: false,
    endReasonCode: 2,
    synFrom: 1,
    synAckFrom: 0,
    firstFrom: 1,
    startNs: 1_700_000_000_123_456_789n,
    endNs: 1_700_000_001_323_456_790n,
    ifindex: [2, 2],
    packetsDelta: [11, 12],
    bytesDelta: [1100, 1200],
    packetsTotal: [111, 112],
    bytesTotal: [11100, 11200],
    tcpFlags: [0x12, 0x1b],
    ...change,
  };
}

/** A record with these values, without the kernel's layout. */
export function flowRecord(change: Partial<RecordValues> = {}): FlowRecordView {
  const values = recordValues(change);
  const [a, b] = values.addresses.map(addressBytes);
  return {
    ...values,
    // Offsets that are not 0, as in the buffer of the loader.
    bytes: Uint8Array.from([...Array(5), ...a, ...b]),
    addressAOffset: 5,
    addressBOffset: 5 + a.length,
    addressBytes: a.length,
    portA: values.ports[0],
    portB: values.ports[1],
    readStart: (out) => splitNs(values.startNs, out),
    readEnd: (out) => splitNs(values.endNs, out),
    ifindex: (side) => values.ifindex[side],
    packetsDelta: (side) => values.packetsDelta[side],
    bytesDelta: (side) => values.bytesDelta[side],
    packetsTotal: (side) => values.packetsTotal[side],
    bytesTotal: (side) => values.bytesTotal[side],
    tcpFlags: (side) => values.tcpFlags[side],
  };
}

/** All that `record` tells, as plain values: for comparing two records. */
export function valuesOf(record: FlowRecordView): RecordValues {
  const both = (read: (side: Side) => number): [number, number] => [read(0), read(1)];
  const address = (offset: number) => addressText(record.bytes, offset, record.addressBytes);
  const ns = (read: (out: U64) => void) => {
    const out = { lo: 0, hi: 0 };
    read(out);
    return joinNs(out);
  };
  const { protocol, slot, isFirst, isLast, endReasonCode, synFrom, synAckFrom, firstFrom } = record;
  return {
    ...{ protocol, slot, isFirst, isLast, endReasonCode, synFrom, synAckFrom, firstFrom },
    addresses: [address(record.addressAOffset), address(record.addressBOffset)],
    ports: [record.portA, record.portB],
    startNs: ns((out) => record.readStart(out)),
    endNs: ns((out) => record.readEnd(out)),
    ifindex: both((side) => record.ifindex(side)),
    packetsDelta: both((side) => record.packetsDelta(side)),
    bytesDelta: both((side) => record.bytesDelta(side)),
    packetsTotal: both((side) => record.packetsTotal(side)),
    bytesTotal: both((side) => record.bytesTotal(side)),
    tcpFlags: both((side) => record.tcpFlags(side)),
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
