/** The loader's record buffer as a cursor over flow records: no object per flow. */

import { type MaybeSide, NO_SIDE, type Side } from "../flow/ends.ts";
import type { FlowRecordView } from "../flow/record.ts";
import type { U64 } from "../flow/span.ts";
import { Counters, FlowKey, FlowRecord, NatCode } from "./layout.gen.ts";

const IPV4 = 4;
/** Greater codes mean that no side is known. */
const SIDES = 2;
const TWO_32 = 0x1_0000_0000;

/** A view on the record at `seek()`'s index; little-endian machines only, which is what Deno runs on. */
export class FlowRecords implements FlowRecordView {
  readonly bytes: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  #at = 0;

  /** @param buffer as long as the loader fills it; it is read anew after each `seek()`. */
  constructor(buffer: Uint8Array<ArrayBuffer>) {
    this.bytes = buffer;
    this.#u16 = new Uint16Array(buffer.buffer, buffer.byteOffset, buffer.length >> 1);
    this.#u32 = new Uint32Array(buffer.buffer, buffer.byteOffset, buffer.length >> 2);
  }

  /** Moves to record number `index`. */
  seek(index: number): void {
    this.#at = index * FlowRecord.size;
  }

  get addressAOffset(): number {
    return this.#at + FlowKey.a;
  }
  get addressBOffset(): number {
    return this.#at + FlowKey.b;
  }
  get addressBytes(): number {
    return this.bytes[this.#at + FlowKey.family] === IPV4 ? 4 : 16;
  }
  get portA(): number {
    return this.#u16[(this.#at + FlowKey.portA) >> 1];
  }
  get portB(): number {
    return this.#u16[(this.#at + FlowKey.portB) >> 1];
  }
  get protocol(): number {
    return this.bytes[this.#at + FlowKey.protocol];
  }
  get nat(): number {
    return this.bytes[this.#at + FlowRecord.nat];
  }
  get natAOffset(): number {
    return this.#at + FlowRecord.natA;
  }
  get natBOffset(): number {
    return this.#at + FlowRecord.natB;
  }
  get natPortA(): number {
    return this.#u16[(this.#at + FlowRecord.natPort) >> 1];
  }
  get natPortB(): number {
    return this.#u16[(this.#at + FlowRecord.natPort + 2) >> 1];
  }
  get natFrom(): MaybeSide {
    return this.nat === NatCode.NONE ? NO_SIDE : side(this.bytes[this.#at + FlowRecord.natFrom]);
  }
  get slot(): number {
    return this.#u32[(this.#at + FlowRecord.slot) >> 2];
  }
  get isFirst(): boolean {
    return this.bytes[this.#at + FlowRecord.first] !== 0;
  }
  get isLast(): boolean {
    return this.bytes[this.#at + FlowRecord.last] !== 0;
  }
  get endReasonCode(): number {
    return this.bytes[this.#at + FlowRecord.endReason];
  }
  get synFrom(): MaybeSide {
    return side(this.bytes[this.#at + FlowRecord.synSide]);
  }
  get synAckFrom(): MaybeSide {
    return side(this.bytes[this.#at + FlowRecord.synAckSide]);
  }
  get firstFrom(): MaybeSide {
    return side(this.bytes[this.#at + FlowRecord.firstSide]);
  }

  get finFrom(): MaybeSide {
    return side(this.bytes[this.#at + FlowRecord.finSide]);
  }
  get isEstablished(): boolean {
    return this.bytes[this.#at + FlowRecord.established] !== 0;
  }
  get vlan(): number {
    return this.#u16[(this.#at + FlowRecord.vlan) >> 1];
  }
  get handshakeNs(): number {
    return this.#number(FlowRecord.handshakeNs);
  }

  readStart(out: U64): void {
    this.#readU64(FlowRecord.startUnixNs, out);
  }
  readEnd(out: U64): void {
    this.#readU64(FlowRecord.endUnixNs, out);
  }
  ifindex(side: Side): number {
    return this.hook(side) >>> 1;
  }
  hook(side: Side): number {
    return this.#u32[(this.#at + FlowRecord.hook + 4 * side) >> 2];
  }
  seenIfindex(place: number): number {
    return this.#u32[(this.#at + FlowRecord.interfaces + 4 * place) >> 2];
  }
  packetsDelta(side: Side): number {
    return this.#number(FlowRecord.delta + Counters.size * side + Counters.packets);
  }
  bytesDelta(side: Side): number {
    return this.#number(FlowRecord.delta + Counters.size * side + Counters.bytes);
  }
  packetsTotal(side: Side): number {
    return this.#number(FlowRecord.total + Counters.size * side + Counters.packets);
  }
  bytesTotal(side: Side): number {
    return this.#number(FlowRecord.total + Counters.size * side + Counters.bytes);
  }
  tcpFlags(side: Side): number {
    return this.bytes[this.#at + FlowRecord.tcpFlags + side];
  }
  isFinAcked(side: Side): boolean {
    return this.bytes[this.#at + FlowRecord.finAcked + side] !== 0;
  }
  latencyNs(side: Side): number {
    return this.#number(FlowRecord.latencyNs + 8 * side);
  }
  jitterNs(side: Side): number {
    return this.#number(FlowRecord.jitterNs + 8 * side);
  }
  latencyCount(side: Side): number {
    return this.#u32[(this.#at + FlowRecord.latencyCount + 4 * side) >> 2];
  }
  isIpKnown(side: Side): boolean {
    return this.bytes[this.#at + FlowRecord.ipKnown + side] !== 0;
  }
  trafficClass(side: Side): number {
    return this.bytes[this.#at + FlowRecord.trafficClass + side];
  }
  ttl(side: Side): number {
    return this.bytes[this.#at + FlowRecord.ttl + side];
  }
  flowLabel(side: Side): number {
    return this.#u32[(this.#at + FlowRecord.flowLabel + 4 * side) >> 2];
  }
  isIcmpKnown(side: Side): boolean {
    return this.bytes[this.#at + FlowRecord.icmpKnown + side] !== 0;
  }
  icmpType(side: Side): number {
    return this.bytes[this.#at + FlowRecord.icmpType + side];
  }
  icmpCode(side: Side): number {
    return this.bytes[this.#at + FlowRecord.icmpCode + side];
  }
  spi(side: Side): number {
    return this.#u32[(this.#at + FlowRecord.spi + 4 * side) >> 2];
  }

  #number(offset: number): number {
    const index = (this.#at + offset) >> 2;
    return this.#u32[index] + this.#u32[index + 1] * TWO_32;
  }

  #readU64(offset: number, out: U64): void {
    const index = (this.#at + offset) >> 2;
    out.lo = this.#u32[index];
    out.hi = this.#u32[index + 1];
  }
}

function side(code: number): MaybeSide {
  return code < SIDES ? code as Side : NO_SIDE;
}
