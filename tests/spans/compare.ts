/** Compares spans, field by field, with the table and the capture. */

import assert from "node:assert/strict";
import type { Attributes, SpanRecord } from "../harness/otlp_json.ts";
import type { Packet } from "../harness/pcap.ts";
import { answerTimes, attributesOf, handshakeNs, TIME_ATTRIBUTES, type Window } from "./reference.ts";
import type { ExpectedSpan } from "./scenarios.ts";
import type { Observed } from "./stage.ts";

const KINDS = { INTERNAL: 1, SERVER: 2, CLIENT: 3 };
/**
 * The hook and tcpdump read their clocks one after the other; between the two readings a busy machine may do anything.
 * The scenarios' own pauses are longer than that.
 */
const NEAR_NS = 50_000_000;

/** How far the agent's times were from tcpdump's, nanoseconds. */
export class Nearness {
  readonly #differences: number[] = [];

  check(what: string, found: number | bigint, captured: number | bigint): void {
    const difference = Math.abs(Number(BigInt(Math.round(Number(found) - Number(captured)))));
    this.#differences.push(difference);
    assert.ok(difference < NEAR_NS, `${what} is ${found} ns, in the capture ${captured} ns`);
  }

  /** One line for the log: median and greatest difference. */
  get summary(): string {
    const sorted = this.#differences.toSorted((a, b) => a - b);
    const micros = (ns: number) => (ns / 1000).toFixed(1);
    const [median, last] = [sorted[sorted.length >> 1], sorted.at(-1)!];
    return `${sorted.length} times: median ${micros(median)} µs from tcpdump's, at most ${micros(last)} µs`;
  }
}

/** Splits the packets of one flow into the windows that the expected spans have. */
function windowsOf(packets: Packet[], expected: ExpectedSpan[]): Window[] {
  let at = 0;
  let beganAt = 0;
  return expected.map(({ packets: count = packets.length - at, isNewFlow = false }) => {
    if (isNewFlow) beganAt = at;
    const window = { earlier: packets.slice(beganAt, at), packets: packets.slice(at, at + count) };
    at += count;
    return window;
  });
}

/**
 * The times that `wanted` names, from the capture: the handshake of the whole flow, answers of the window.
 * @throws {Error} when the capture does not tell one of them.
 */
function timesOf({ earlier, packets }: Window, wanted: string[], server: string): Record<string, number> {
  const answers = wanted.length > 0 ? answerTimes(packets, server) : undefined;
  return Object.fromEntries(wanted.map((name) => {
    const time = name === "flow.tcp.handshake.latency"
      ? handshakeNs([...earlier, ...packets])
      : answers?.[name.endsWith(".jitter") ? "jitter" : "latency"];
    if (time === undefined) throw new Error(`the capture does not tell ${name}`);
    return [name, time];
  }));
}

/** Checks all spans of one flow at one observer; `source` and `server` are addresses. */
export function checkFlow(
  { spans, counting }: Pick<Observed, "counting" | "spans">,
  flow: { packets: Packet[]; communityId: string; source: string; server: string },
  expected: ExpectedSpan[],
  nearness: Nearness,
): void {
  const { packets, communityId, source, server } = flow;
  const found = spans.filter(({ attributes }) => attributes["flow.community_id"] === communityId)
    .sort((a, b) => Number(a.startNs - b.startNs));
  assert.equal(found.length, expected.length, `spans: ${found.map(describe).join("; ")}`);
  windowsOf(packets, expected).forEach((window, index) => {
    const span = found[index];
    const wanted = expected[index];
    const computed = attributesOf(window, source, communityId, counting);
    const attributes = { ...computed, ...wanted.attributes };
    const name = `flow_${computed["network.type"]}_${computed["network.transport"]}`;
    assert.deepEqual([span.name, span.kind], [name, KINDS[wanted.kind]]);
    assert.deepEqual(sorted(withoutTimes(span.attributes)), sorted(attributes));
    const times = timesOf(window, wanted.times, server);
    assert.deepEqual(
      Object.keys(span.attributes).filter((key) => TIME_ATTRIBUTES.has(key)).sort(),
      Object.keys(times).sort(),
    );
    for (const [key, ns] of Object.entries(times)) nearness.check(key, Number(span.attributes[key]), ns);
    nearness.check("the start", span.startNs, window.packets[0].timeNs);
    nearness.check("the end", span.endNs, window.packets.at(-1)!.timeNs);
  });
}

function describe({ name, attributes }: SpanRecord): string {
  return `${name} ${attributes["flow.end_reason"]} ${attributes["flow.packets.delta"]} and ` +
    `${attributes["flow.reverse.packets.delta"]} packets`;
}

function withoutTimes(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !TIME_ATTRIBUTES.has(name)));
}

function sorted(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => a < b ? -1 : 1));
}
