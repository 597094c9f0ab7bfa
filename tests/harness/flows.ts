/** Per flow and direction: what tcpdump saw, what the spans say, and how they differ. */

import type { CountedPacket, FiveTuple } from "./pcap.ts";
import type { SpanRecord } from "./otlp_json.ts";

export interface Count {
  packets: number;
  bytes: number;
}

/** One conversation; `forward` has the direction of `tuple`, which is that of its first packet. */
export interface FlowCount {
  tuple: FiveTuple;
  forward: Count;
  reverse: Count;
}

/** A conversation with the id that a judge, not the agent, computed for it. */
export interface IdentifiedFlow extends FlowCount {
  communityId: string;
}

const ICMP = 1;
const ICMPV6 = 58;
/** Request and reply types that Community ID v1 joins to one flow, both ways. */
const ICMP_COUNTERPARTS: Record<number, Map<number, number>> = {
  [ICMP]: bothWays([[8, 0], [13, 14], [15, 16], [10, 9], [17, 18]]),
  [ICMPV6]: bothWays([[128, 129], [133, 134], [135, 136], [130, 131], [139, 140], [144, 145]]),
};
const TRANSPORT_NAMES: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };

function bothWays(pairs: [number, number][]): Map<number, number> {
  return new Map([...pairs, ...pairs.map(([request, reply]): [number, number] => [reply, request])]);
}

/** Sums packets by conversation; both directions are one flow, apart from ICMP types that have no counterpart. */
export function countFlows(packets: Iterable<CountedPacket>): FlowCount[] {
  const flows = new Map<string, FlowCount>();
  for (const packet of packets) {
    const { protocol, sourceAddress, destinationAddress } = packet;
    let { sourcePort, destinationPort } = packet;
    let reversible = true;
    const counterparts = ICMP_COUNTERPARTS[protocol];
    if (counterparts) {
      const counterpart = counterparts.get(sourcePort);
      reversible = counterpart !== undefined;
      destinationPort = counterpart ?? destinationPort;
    }
    const key = `${protocol} ${sourceAddress} ${sourcePort} ${destinationAddress} ${destinationPort}`;
    const reverseKey = `${protocol} ${destinationAddress} ${destinationPort} ${sourceAddress} ${sourcePort}`;
    const isReverse = reversible && !flows.has(key) && flows.has(reverseKey);
    const flow = flows.get(isReverse ? reverseKey : key) ?? newFlow(packet);
    if (!isReverse) flows.set(key, flow);
    const count = isReverse ? flow.reverse : flow.forward;
    count.packets++;
    count.bytes += packet.bytes;
  }
  return [...flows.values()];
}

function newFlow(packet: CountedPacket): FlowCount {
  const { protocol, sourceAddress, sourcePort, destinationAddress, destinationPort } = packet;
  const tuple = { protocol, sourceAddress, sourcePort, destinationAddress, destinationPort };
  return { tuple, forward: { packets: 0, bytes: 0 }, reverse: { packets: 0, bytes: 0 } };
}

/**
 * Compares the sums of all spans of each Community ID with the truth, and returns one line per difference.
 *
 * Addresses, ports, transport and name of every span are compared too. Spans for whose source `inScope` is false are
 * left out, for traffic that the kernel makes by itself.
 */
export function compareFlows(
  truth: IdentifiedFlow[],
  spans: SpanRecord[],
  inScope: (address: string) => boolean = () => true,
): string[] {
  const differences: string[] = [];
  const sums = new Map<string, { forward: Count; reverse: Count }>();
  const expected = new Map(truth.map((flow) => [flow.communityId, flow]));
  for (const span of spans) {
    const { attributes } = span;
    if (!inScope(String(attributes["source.address"]))) continue;
    const communityId = String(attributes["flow.community_id"]);
    const flow = expected.get(communityId);
    if (!flow) {
      differences.push(`unexpected span ${describeSpan(span)} with ${communityId}`);
      continue;
    }
    const swapped = isSwapped(flow.tuple, span);
    differences.push(...compareTuple(flow.tuple, span, swapped));
    const sum = sums.get(communityId) ?? { forward: { packets: 0, bytes: 0 }, reverse: { packets: 0, bytes: 0 } };
    sums.set(communityId, sum);
    add(swapped ? sum.reverse : sum.forward, span, "flow");
    add(swapped ? sum.forward : sum.reverse, span, "flow.reverse");
  }
  for (const { communityId, tuple, forward, reverse } of truth) {
    const found = sums.get(communityId);
    const wanted = describeCounts({ forward, reverse });
    const got = found ? describeCounts(found) : "no span";
    if (wanted !== got) differences.push(`${describeTuple(tuple)} ${communityId}: captured ${wanted}, spans ${got}`);
  }
  return differences;
}

function add(count: Count, span: SpanRecord, prefix: string): void {
  count.packets += Number(span.attributes[`${prefix}.packets.delta`]);
  count.bytes += Number(span.attributes[`${prefix}.bytes.delta`]);
}

function isSwapped(tuple: FiveTuple, span: SpanRecord): boolean {
  const { "source.address": address, "source.port": port } = span.attributes;
  if (tuple.sourceAddress !== tuple.destinationAddress) return address === tuple.destinationAddress;
  return port === tuple.destinationPort && port !== tuple.sourcePort;
}

function compareTuple(tuple: FiveTuple, span: SpanRecord, swapped: boolean): string[] {
  const hasPorts = tuple.protocol === 6 || tuple.protocol === 17;
  const transport = TRANSPORT_NAMES[tuple.protocol] ?? `proto_${tuple.protocol}`;
  const type = tuple.sourceAddress.includes(":") ? "ipv6" : "ipv4";
  const source = [tuple.sourceAddress, hasPorts ? tuple.sourcePort : undefined];
  const destination = [tuple.destinationAddress, hasPorts ? tuple.destinationPort : undefined];
  const wanted = [swapped ? destination : source, swapped ? source : destination].flat();
  const { attributes } = span;
  const got = ["source.address", "source.port", "destination.address", "destination.port"].map((key) =>
    attributes[key]
  );
  const [wantedText, gotText] = [
    [...wanted, transport, type, `flow_${type}_${transport}`],
    [...got, attributes["network.transport"], attributes["network.type"], span.name],
  ].map(String);
  return wantedText === gotText ? [] : [`span ${span.spanId} says ${gotText}, captured was ${wantedText}`];
}

/** One line such as `17 10.77.0.1:4000 -> 10.77.0.2:53`. */
export function describeTuple(tuple: FiveTuple): string {
  const { protocol, sourceAddress, sourcePort, destinationAddress, destinationPort } = tuple;
  return `${protocol} ${sourceAddress}:${sourcePort} -> ${destinationAddress}:${destinationPort}`;
}

function describeSpan({ name, attributes }: SpanRecord): string {
  const [source, destination] = ["source", "destination"].map((end) =>
    `${attributes[`${end}.address`]}:${attributes[`${end}.port`]}`
  );
  return `${name} ${source} -> ${destination}`;
}

function describeCounts({ forward, reverse }: { forward: Count; reverse: Count }): string {
  return `${forward.packets} packets ${forward.bytes} bytes, back ${reverse.packets} packets ${reverse.bytes} bytes`;
}
