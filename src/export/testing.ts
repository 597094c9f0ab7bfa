/** Builders and fakes for the tests of the exporters. */

import { setImmediate } from "node:timers";
import { CONNECTION_STATES } from "../flow/connection_state.ts";
import { ABSENT, FlowSpan, SpanKind, type U64 } from "../flow/span.ts";
import type { LogFields, Logger } from "../log.ts";
import type { Clock } from "./clock.ts";
import { Histogram } from "../metrics/histogram.ts";
import type { Exporter, ExporterStats, ExportMeasures } from "./exporter.ts";
import { SPAN_ATTRIBUTES } from "./attributes.ts";

type FlowSpanChange = Partial<Omit<FlowSpan, "traceId" | "spanId" | "startNs" | "endNs">>;

/** What no TCP flow has. */
export const OTHER_PROTOCOLS: FlowSpanChange = {
  icmpType: 3,
  icmpTypeName: "destination_unreachable",
  icmpCode: 1,
  icmpCodeName: "host_unreachable",
  reverseIcmpType: 11,
  reverseIcmpTypeName: "time_exceeded",
  reverseIcmpCode: 0,
  reverseIcmpCodeName: "time_to_live_exceeded_in_transit",
  ahSpi: 256,
  espSpi: 0xffff_ffff,
  ingressPolicies: ["allow-web"],
  egressPolicies: ["default", "to-dns"],
};

/** Nothing but what every flow has. */
export const ONLY_REQUIRED: FlowSpanChange = {
  sourcePort: ABSENT,
  destinationPort: ABSENT,
  reverseInterfaceName: "",
  interfaces: [],
  vlan: ABSENT,
  tcpFlags: ABSENT,
  reverseTcpFlags: ABSENT,
  connectionState: "",
  handshakeNs: ABSENT,
  serviceLatencyNs: ABSENT,
  serviceJitterNs: ABSENT,
  roundTripLatencyNs: ABSENT,
  roundTripJitterNs: ABSENT,
  dscp: ABSENT,
  ecn: ABSENT,
  ttl: ABSENT,
  flowLabel: ABSENT,
  reverseDscp: ABSENT,
  reverseEcn: ABSENT,
  reverseTtl: ABSENT,
  reverseFlowLabel: ABSENT,
};

/** A TCP flow with every attribute that one can have, changed by `change`. */
export function flowSpan(change: FlowSpanChange = {}): FlowSpan {
  const span = new FlowSpan();
  span.traceId.set(Array.from({ length: 16 }, (_, i) => i + 1));
  span.spanId.set(Array.from({ length: 8 }, (_, i) => 0xf0 + i));
  setNs(span.startNs, 1_700_000_000_123_456_789n);
  setNs(span.endNs, 1_700_000_001_323_456_789n);
  return Object.assign(span, {
    kind: SpanKind.CLIENT,
    name: "flow_ipv4_tcp",
    communityId: "1:wCb3OG7yAFWelaUydu0D+125CLM=",
    direction: "forward",
    endReason: "end_of_flow_detected",
    sourceAddress: "10.0.0.1",
    destinationAddress: "10.0.0.2",
    sourcePort: 51234,
    destinationPort: 443,
    networkType: "ipv4",
    transport: "tcp",
    interfaceName: "eth0",
    interfaceIndex: 2,
    interfaceMac: "02:42:ac:11:00:02",
    reverseInterfaceName: "eth1",
    interfaces: ["eth0", "br0"],
    vlan: 42,
    packetsDelta: 12,
    bytesDelta: 3400,
    reversePacketsDelta: 10,
    reverseBytesDelta: 8100,
    packetsTotal: 112,
    bytesTotal: 103400,
    reversePacketsTotal: 110,
    reverseBytesTotal: 108100,
    tcpFlags: 0x1b,
    reverseTcpFlags: 0x12,
    connectionState: "time_wait",
    handshakeNs: 1_200_000,
    serviceLatencyNs: 350_000,
    serviceJitterNs: 20_000,
    roundTripLatencyNs: 1_350_000,
    roundTripJitterNs: 30_000,
    dscp: 46,
    ecn: 2,
    ttl: 64,
    flowLabel: 0x12345,
    reverseDscp: 0,
    reverseEcn: 0,
    reverseTtl: 57,
    reverseFlowLabel: 0,
    ...change,
  });
}

/** Sets both halves of `target` from nanoseconds. */
export function setNs(target: U64, ns: bigint): void {
  target.lo = Number(ns & 0xffff_ffffn);
  target.hi = Number(ns >> 32n);
}

/** Random numbers from 0 to below 1 that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A flow whose values lie at and between the limits of what the encoder must take. */
export function randomFlowSpan(random: () => number): FlowSpan {
  const below = (limit: number) => Math.floor(random() * limit);
  const pick = <T>(...choices: T[]): T => choices[below(choices.length)];
  const counter = () => pick(0, 1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, below(2 ** (1 + below(53))));
  const characters = ["a", "Z", ":", " ", "\u0000", "é", "→", "漢", "😀"];
  const text = () => {
    const length = pick(0, 1, 15, 40, 125, 126, 127, 128, 300, 17_000 * below(2));
    const plain = random() < 0.5;
    return Array.from({ length }, () => plain ? "x" : pick(...characters)).join("");
  };
  const span = flowSpan({
    kind: pick(SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT),
    name: text(),
    communityId: text(),
    sourceAddress: text(),
    destinationAddress: text(),
    sourcePort: pick(ABSENT, 0, below(65536)),
    destinationPort: pick(ABSENT, 0, below(65536)),
    direction: pick("forward", "reverse", "unknown"),
    endReason: pick("idle_timeout", "active_timeout", "forced_end"),
    networkType: pick("ipv4", "ipv6"),
    transport: text(),
    interfaceName: text(),
    interfaceIndex: below(2 ** 31),
    interfaceMac: text(),
    reverseInterfaceName: text(),
    packetsDelta: counter(),
    bytesDelta: counter(),
    reversePacketsDelta: counter(),
    reverseBytesDelta: counter(),
    packetsTotal: counter(),
    bytesTotal: counter(),
    reversePacketsTotal: counter(),
    reverseBytesTotal: counter(),
    tcpFlags: pick(ABSENT, below(256)),
    reverseTcpFlags: pick(ABSENT, below(256)),
    interfaces: Array.from({ length: pick(0, 2, 6) }, text),
    vlan: pick(ABSENT, below(4096)),
    connectionState: pick("", ...CONNECTION_STATES),
    handshakeNs: pick(ABSENT, counter()),
    serviceLatencyNs: pick(ABSENT, counter()),
    serviceJitterNs: pick(ABSENT, counter()),
    roundTripLatencyNs: pick(ABSENT, counter()),
    roundTripJitterNs: pick(ABSENT, counter()),
    dscp: pick(ABSENT, below(64)),
    ecn: pick(ABSENT, below(4)),
    ttl: pick(ABSENT, below(256)),
    flowLabel: pick(ABSENT, below(2 ** 20)),
    reverseDscp: pick(ABSENT, below(64)),
    reverseEcn: pick(ABSENT, below(4)),
    reverseTtl: pick(ABSENT, below(256)),
    reverseFlowLabel: pick(ABSENT, below(2 ** 20)),
    icmpType: pick(ABSENT, below(256)),
    icmpTypeName: pick("", text()),
    icmpCode: pick(ABSENT, below(256)),
    icmpCodeName: pick("", text()),
    reverseIcmpType: pick(ABSENT, below(256)),
    reverseIcmpTypeName: pick("", text()),
    reverseIcmpCode: pick(ABSENT, below(256)),
    reverseIcmpCodeName: pick("", text()),
    ahSpi: pick(ABSENT, below(2 ** 32)),
    espSpi: pick(ABSENT, below(2 ** 32)),
    ingressPolicies: pick([], ["policy"]),
    egressPolicies: pick([], ["a", "b"]),
  });
  for (let i = 0; i < 16; i++) span.traceId[i] = below(256);
  for (let i = 0; i < 8; i++) span.spanId[i] = below(256);
  setNs(span.startNs, pick(0n, 0xffff_ffffn, 2n ** 32n, BigInt(below(2 ** 32)) * BigInt(below(2 ** 31))));
  setNs(span.endNs, BigInt(below(2 ** 32)) * BigInt(below(2 ** 31)) + BigInt(below(2)));
  return span;
}

/** A clock that stands still until `advance()`. */
export class FakeClock implements Clock {
  #nowMs = 1000;
  readonly #timers = new Set<{ readonly atMs: number; readonly action: () => void }>();

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Moves on by `ms`; each timer on the way fires at its time, and what it sets off is done before the next. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settled();
    while (true) {
      const next = [...this.#timers].sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.delete(next);
      this.#nowMs = next.atMs;
      next.action();
      await settled();
    }
    this.#nowMs = endMs;
  }
}

/** Runs `work` with a `performance.now()` that goes on by `stepMs` whenever it is read. */
export async function withFastClock(stepMs: number, work: () => Promise<void>): Promise<void> {
  const original = performance.now;
  let nowMs = 0;
  performance.now = () => nowMs += stepMs;
  try {
    await work();
  } finally {
    performance.now = original;
  }
}

/** Resolves when all that needs no time is done. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}

/** Keeps the source port of every span, and what is asked of it in `calls`; the public fields are the test's to change. */
export class FakeExporter implements Exporter {
  readonly ports: number[] = [];
  readonly stats: ExporterStats;
  onExport = () => {};
  onSettled?: () => void;
  /** What a method does instead of being done at once, by its name. */
  readonly instead = new Map<"start" | "flush" | "stop", () => Promise<void>>();

  /**
   * @param queued how many spans wait, whenever that is asked.
   * @param calls such as `flush otlp`, in order; may be shared with others.
   */
  constructor(
    queued: () => number = () => 0,
    readonly name: Exporter["name"] = "otlp",
    readonly calls: string[] = [],
  ) {
    this.stats = {
      ...{ accepted: 0, delivered: 0, lost: {}, queuedBytes: 0, requests: 0, retries: 0 },
      get queued() {
        return queued();
      },
    };
  }

  start(): Promise<void> {
    return this.#do("start");
  }

  export({ sourcePort }: FlowSpan): void {
    this.stats.accepted++;
    this.ports.push(sourcePort);
    this.onExport();
  }

  flush(): Promise<void> {
    return this.#do("flush");
  }

  stop(): Promise<void> {
    return this.#do("stop");
  }

  #do(method: "start" | "flush" | "stop"): Promise<void> {
    this.calls.push(`${method} ${this.name}`);
    return this.instead.get(method)?.() ?? Promise.resolve();
  }
}

/** Empty histograms with one bucket. */
export function createMeasures(): ExportMeasures {
  return { batchSize: new Histogram([]), exportOut: new Histogram([]) };
}

/** Keeps log lines as `<level> <event>`, and their fields. */
export class FakeLogger implements Logger {
  readonly lines: string[] = [];
  readonly texts: string[] = [];
  readonly fields: LogFields[] = [];
  readonly debug = this.#take("debug");
  readonly info = this.#take("info");
  readonly warn = this.#take("warn");
  readonly error = this.#take("error");

  child(): Logger {
    return this;
  }

  #take(level: string): Logger["info"] {
    return (event, text, fields = {}) => {
      this.lines.push(`${level} ${event}`);
      this.texts.push(text);
      this.fields.push(fields);
    };
  }
}

/** The attributes of `span` by name, read from the same table as the encoder reads. */
export function attributesOf(span: FlowSpan): Record<string, string | number | readonly string[]> {
  const attributes: Record<string, string | number | readonly string[]> = {};
  for (const attribute of SPAN_ATTRIBUTES) {
    const value = attribute.read(span);
    const absent = value === ABSENT || (typeof value !== "number" && value.length === 0);
    if (!absent || (value === "" && attribute.when === "always")) attributes[attribute.name] = value;
  }
  return attributes;
}
