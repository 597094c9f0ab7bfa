import { addressText } from "./address.ts";
import { CommunityIds } from "./community_id.ts";
import {
  type Ends,
  endsDirection,
  type EndsEvidence,
  endsKind,
  icmpRequestSide,
  judgeEnds,
  NO_SIDE,
  sourceIsA,
} from "./ends.ts";
import { Protocol } from "./icmp.ts";
import { endReasonName, protocolName } from "./names.ts";
import type { FlowRecordView } from "./record.ts";
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
    const span = this.#span;
    const { bytes, addressBytes, protocol, portA, portB } = record;
    const addressA = addressText(bytes, record.addressAOffset, addressBytes);
    const addressB = addressText(bytes, record.addressBOffset, addressBytes);
    const ends = this.#ends(record, addressA, addressB);
    const fromA = sourceIsA(ends);

    this.#tuple.load(bytes, record.addressAOffset, record.addressBOffset, addressBytes, protocol, portA, portB);
    record.readStart(span.startNs);
    record.readEnd(span.endNs);
    this.#traceIds.write(this.#tuple, span.startNs, span.traceId);
    this.#spanIds.write(span.spanId);
    span.communityId = this.#communityIds.of(this.#tuple);

    span.networkType = addressBytes === 4 ? "ipv4" : "ipv6";
    span.transport = protocolName(protocol);
    span.name = `flow_${span.networkType}_${span.transport}`;
    span.kind = endsKind(ends);
    span.direction = endsDirection(ends);
    span.endReason = endReasonName(record.endReasonCode);
    span.sourceAddress = fromA ? addressA : addressB;
    span.destinationAddress = fromA ? addressB : addressA;
    const ported = hasPorts(protocol);
    span.sourcePort = !ported ? ABSENT : fromA ? portA : portB;
    span.destinationPort = !ported ? ABSENT : fromA ? portB : portA;
    this.#fillInterfaces(record, fromA);
    fillCounters(span, record, fromA);
    return span;
  }

  #ends(record: FlowRecordView, addressA: string, addressB: string): Ends {
    const { slot } = record;
    const kept = record.isFirst ? UNJUDGED : this.#verdicts[slot];
    const ends = kept === UNJUDGED ? this.#judge(record, addressA, addressB) : kept - 1;
    this.#verdicts[slot] = record.isLast ? UNJUDGED : ends + 1;
    return ends;
  }

  #judge(record: FlowRecordView, addressA: string, addressB: string): Ends {
    const evidence = this.#evidence;
    const isIcmp = record.protocol === Protocol.ICMP || record.protocol === Protocol.ICMPV6;
    evidence.synFrom = record.synFrom;
    evidence.synAckFrom = record.synAckFrom;
    evidence.firstFrom = record.firstFrom;
    evidence.icmpRequestFrom = icmpRequestSide(record.protocol, record.portA);
    evidence.portA = isIcmp ? 0 : record.portA;
    evidence.portB = isIcmp ? 0 : record.portB;
    evidence.aIsLocal = this.#host.isLocal(addressA);
    evidence.bIsLocal = this.#host.isLocal(addressB);
    return judgeEnds(evidence);
  }

  #fillInterfaces(record: FlowRecordView, fromA: boolean): void {
    const span = this.#span;
    const index = record.ifindex(fromA ? 0 : 1);
    const reverseIndex = record.ifindex(fromA ? 1 : 0);
    const { name, mac } = this.#host.interface(index) ?? UNKNOWN_INTERFACE;
    span.interfaceIndex = index;
    span.interfaceName = name;
    span.interfaceMac = mac;
    span.reverseInterfaceName = reverseIndex === index
      ? ""
      : (this.#host.interface(reverseIndex) ?? UNKNOWN_INTERFACE).name;
  }
}

function fillCounters(span: FlowSpan, record: FlowRecordView, fromA: boolean): void {
  const out = fromA ? 0 : 1;
  const back = fromA ? 1 : 0;
  span.packetsDelta = record.packetsDelta(out);
  span.bytesDelta = record.bytesDelta(out);
  span.packetsTotal = record.packetsTotal(out);
  span.bytesTotal = record.bytesTotal(out);
  span.reversePacketsDelta = record.packetsDelta(back);
  span.reverseBytesDelta = record.bytesDelta(back);
  span.reversePacketsTotal = record.packetsTotal(back);
  span.reverseBytesTotal = record.bytesTotal(back);
  const isTcp = record.protocol === Protocol.TCP;
  span.tcpFlags = isTcp ? record.tcpFlags(out) : ABSENT;
  span.reverseTcpFlags = isTcp ? record.tcpFlags(back) : ABSENT;
}

function hasPorts(protocol: number): boolean {
  return protocol === Protocol.TCP || protocol === Protocol.UDP || protocol === Protocol.SCTP ||
    protocol === Protocol.DCCP || protocol === Protocol.UDPLITE;
}
