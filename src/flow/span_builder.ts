import { addressText } from "./address.ts";
import { CommunityIds } from "./community_id.ts";
import {
  type Ends,
  endsDirection,
  type EndsEvidence,
  endsKind,
  icmpRequestSide,
  judgeEnds,
  type MaybeSide,
  NO_SIDE,
  otherSide,
  type Side,
  sourceSide,
} from "./ends.ts";
import { fillCounters, fillHeaders, fillIcmp, fillNat, fillTcp } from "./fill.ts";
import { Protocol } from "./icmp.ts";
import { endReasonName, protocolName } from "./names.ts";
import { type FlowRecordView, MAX_INTERFACES, Nat } from "./record.ts";
import { ABSENT, FlowSpan } from "./span.ts";
import { SpanIds } from "./span_id.ts";
import { TraceIds } from "./trace_id.ts";
import { Tuple } from "./tuple.ts";

/** What is known about an interface that counts flows. */
export interface InterfaceFacts {
  readonly name: string;
  /** Lower-case, colon-separated, or `""`. */
  readonly mac: string;
}

/** What the host knows beyond the record; both may change while the agent runs. */
export interface HostView {
  interface(ifindex: number): InterfaceFacts | undefined;
  /** Whether `address` (RFC 5952 text) belongs to this host. */
  isLocal(address: string): boolean;
  /** Whether a socket listens for `protocol` at the own address `address` and `port`; left out when nobody knows. */
  listens?(protocol: number, address: string, port: number): boolean;
}

export interface SpanBuilderOptions {
  /** 16 bits, for Community ID and trace id. */
  seed: number;
  traceIdTimeoutMs: number;
  /** Slots of the flow table. */
  capacity: number;
  host: HostView;
  spanIds?: SpanIds;
}

const UNKNOWN_INTERFACE: InterfaceFacts = { name: "unknown", mac: "" };
/** No verdict yet; verdicts are kept with one added. */
const UNJUDGED = 0;

/** Makes the span of a flow record, in one reused object. */
export class SpanBuilder {
  readonly #span = new FlowSpan();
  readonly #tuple = new Tuple();
  readonly #communityIds: CommunityIds;
  readonly #traceIds: TraceIds;
  readonly #spanIds: SpanIds;
  readonly #host: HostView;
  /** By slot: what a flow's first span says holds for all its spans. */
  readonly #verdicts: Uint8Array;
  readonly #evidence: EndsEvidence = {
    synFrom: NO_SIDE,
    synAckFrom: NO_SIDE,
    trackedFrom: NO_SIDE,
    listener: NO_SIDE,
    icmpRequestFrom: NO_SIDE,
    portA: 0,
    portB: 0,
    aIsLocal: false,
    bIsLocal: false,
    firstFrom: NO_SIDE,
  };

  constructor({ seed, traceIdTimeoutMs, capacity, host, spanIds = new SpanIds() }: SpanBuilderOptions) {
    this.#communityIds = new CommunityIds(seed);
    this.#traceIds = new TraceIds(seed, traceIdTimeoutMs);
    this.#spanIds = spanIds;
    this.#host = host;
    this.#verdicts = new Uint8Array(capacity);
  }

  /** The span of `record`; the next call changes it. */
  build(record: FlowRecordView): FlowSpan {
    const span = this.describe(record);
    this.finish(record);
    return span;
  }

  /** The span of `record` without its ids, for a filter to look at; the next call changes it. */
  describe(record: FlowRecordView): FlowSpan {
    const span = this.#span;
    const { bytes, addressBytes, protocol, portA, portB } = record;
    const addressA = addressText(bytes, record.addressAOffset, addressBytes);
    const addressB = addressText(bytes, record.addressBOffset, addressBytes);
    const ends = this.#ends(record, addressA, addressB);
    const source = sourceSide(ends);

    span.networkType = addressBytes === 4 ? "ipv4" : "ipv6";
    span.transport = protocolName(protocol);
    span.kind = endsKind(ends);
    span.sourceSide = source;
    span.direction = endsDirection(ends);
    span.endReason = endReasonName(record.endReasonCode);
    span.sourceAddress = source === 0 ? addressA : addressB;
    span.destinationAddress = source === 0 ? addressB : addressA;
    const ported = hasPorts(protocol);
    span.sourcePort = !ported ? ABSENT : source === 0 ? portA : portB;
    span.destinationPort = !ported ? ABSENT : source === 0 ? portB : portA;
    fillNat(span, record, ported, source);
    this.#fillInterfaces(record, source);
    fillCounters(span, record, source);
    fillHeaders(span, record, source);
    fillIcmp(span, record, source);
    fillTcp(span, record, source, ends);
    return span;
  }

  /**
   * Completes what `describe()` has made of the same record: name, times and ids. Both sides of a translated connection have the
   * trace of what is on the wire behind the translation, which is what other nodes see.
   */
  finish(record: FlowRecordView): void {
    const span = this.#span;
    const { bytes, addressBytes, protocol, portA, portB } = record;
    this.#tuple.load(bytes, record.addressAOffset, record.addressBOffset, addressBytes, protocol, portA, portB);
    record.readStart(span.startNs);
    record.readEnd(span.endNs);
    span.communityId = this.#communityIds.of(this.#tuple);
    if (record.nat === Nat.ORIGINAL) {
      const { natAOffset, natBOffset, natPortA, natPortB } = record;
      this.#tuple.load(bytes, natAOffset, natBOffset, addressBytes, protocol, natPortA, natPortB);
    }
    this.#traceIds.write(this.#tuple, span.startNs, span.traceId);
    this.#spanIds.write(span.spanId);
    span.name = `flow_${span.networkType}_${span.transport}`;
  }

  #ends(record: FlowRecordView, addressA: string, addressB: string): Ends {
    const { slot } = record;
    const kept = record.isFirst ? UNJUDGED : this.#verdicts[slot];
    const ends = kept > UNJUDGED ? kept - 1 : this.#judge(record, addressA, addressB);
    this.#verdicts[slot] = record.isLast ? UNJUDGED : ends + 1;
    return ends;
  }

  #judge(record: FlowRecordView, addressA: string, addressB: string): Ends {
    const evidence = this.#evidence;
    const isIcmp = record.protocol === Protocol.ICMP || record.protocol === Protocol.ICMPV6;
    evidence.synFrom = record.synFrom;
    evidence.synAckFrom = record.synAckFrom;
    evidence.firstFrom = record.firstFrom;
    evidence.trackedFrom = record.natFrom;
    evidence.icmpRequestFrom = icmpRequestSide(record.protocol, record.portA);
    evidence.portA = isIcmp ? 0 : record.portA;
    evidence.portB = isIcmp ? 0 : record.portB;
    evidence.aIsLocal = this.#host.isLocal(addressA);
    evidence.bIsLocal = this.#host.isLocal(addressB);
    evidence.listener = this.#listener(record, addressA, addressB);
    return judgeEnds(evidence);
  }

  /** The end where a socket listens; none when both do, as with two name servers. Reads what is judged local. */
  #listener({ protocol, portA, portB }: FlowRecordView, addressA: string, addressB: string): MaybeSide {
    const host = this.#host;
    // A handshake tells more.
    const { synFrom, synAckFrom, aIsLocal, bIsLocal } = this.#evidence;
    if (!host.listens || !hasPorts(protocol) || synFrom !== NO_SIDE || synAckFrom !== NO_SIDE) return NO_SIDE;
    const aListens = aIsLocal && host.listens(protocol, addressA, portA);
    const bListens = bIsLocal && host.listens(protocol, addressB, portB);
    return aListens === bListens ? NO_SIDE : aListens ? 0 : 1;
  }

  #fillInterfaces(record: FlowRecordView, source: Side): void {
    const span = this.#span;
    const index = record.ifindex(source);
    const reverseIndex = record.ifindex(otherSide(source));
    const { name, mac } = this.#host.interface(index) ?? UNKNOWN_INTERFACE;
    span.interfaceIndex = index;
    span.interfaceName = name;
    span.interfaceMac = mac;
    span.reverseInterfaceName = reverseIndex === index
      ? ""
      : (this.#host.interface(reverseIndex) ?? UNKNOWN_INTERFACE).name;
    span.interfaces.length = 0;
    if (record.seenIfindex(1) !== 0) this.#nameInterfaces(record);
  }

  #nameInterfaces(record: FlowRecordView): void {
    for (let place = 0; place < MAX_INTERFACES && record.seenIfindex(place) !== 0; place++) {
      this.#span.interfaces.push((this.#host.interface(record.seenIfindex(place)) ?? UNKNOWN_INTERFACE).name);
    }
  }
}

function hasPorts(protocol: number): boolean {
  return protocol === Protocol.TCP || protocol === Protocol.UDP || protocol === Protocol.SCTP ||
    protocol === Protocol.DCCP || protocol === Protocol.UDPLITE;
}
