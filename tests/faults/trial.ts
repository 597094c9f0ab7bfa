/** Flows under a fault, and the books afterwards: what was sent, what the agent says, what a real Collector has. */

import assert from "node:assert/strict";
import { Agent, type AgentOptions, Instance, prepareBpffs, type Usage } from "../harness/agent.ts";
import { type AgentSettings, type OtlpLimits, watch } from "../harness/agent_config.ts";
import type { Certificate } from "../harness/certificates.ts";
import { Collector } from "../harness/collector.ts";
import type { Metrics } from "../harness/metrics.ts";
import type { Network } from "../harness/netns.ts";
import { FIRST_DESTINATION, wideNetwork } from "../harness/wide.ts";
import type { Attributes, SpanRecord } from "../harness/otlp_json.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import { Gateway } from "./gateway.ts";

const PORT = 7000;
const DRAIN_MS = 300_000;
/** Less than twice the peak without any fault. */
const MAX_PEAK_RSS_MIB = 150;

export type Protocol = "grpc" | "http_binary";

/** Every flow is one packet and one span. */
export const ONE_SPAN_A_FLOW = { udp_timeout: "500ms" } as const;

/** Many small requests, and failures that are noticed soon. */
export const SMALL_BATCHES = {
  max_batch_size: 100,
  max_queue_size: 30_000,
  max_concurrent_exports: 2,
  timeout: "1s",
  max_export_timeout: "3s",
};

/** What came of it. */
export interface Books {
  /** Flows and packets that were sent. */
  flows: number;
  packets: number;
  /** Attributes of the distinct spans at the Collector. */
  spans: Attributes[];
  /** Distinct span ids at the Collector. */
  arrived: number;
  /** Spans that the Collector got more than once. */
  repeated: number;
  /** Distinct flows at the Collector, and packets in their distinct spans. */
  flowsArrived: number;
  packetsArrived: number;
  /** As the agent counts. */
  created: number;
  delivered: number;
  lost: Record<string, number>;
  peakRssMib: number;
}

/** The parts of a trial while it runs. */
export interface Trial {
  /** The one that runs now. */
  agent: Agent;
  gateway: Gateway;
  network: Network;
  traffic: Traffic;
  instance: string;
  settings: AgentSettings;
  /** What was sent so far; whoever sends by other means than `load` adds to it. */
  sent: { flows: number; packets: number };
  /** Sends so many new flows a second for so long. */
  load(rate: number, seconds: number): Promise<number>;
  /** Starts another agent: of the same instance, which the one before must have left, or with something changed. */
  start(change?: { settings?: Partial<AgentSettings>; instance?: string; program?: string }): Promise<Agent>;
}

export interface TrialOptions {
  protocol: Protocol;
  limits?: OtlpLimits;
  /** The gateway's, with the path of the authority that the agent trusts. */
  tls?: { certificate: Certificate; authority: string };
  /** Interfaces to watch besides that with the load. */
  patterns?: string[];
  settings?: Partial<AgentSettings>;
  /** The agent at the end is not the only one: an earlier one has exported some of the spans. */
  hasPredecessor?: boolean;
  /** How the agent ends, when something is wrong then. */
  exitCode?: number;
  /** Puts another program in front of the agent. */
  wrap?: AgentOptions["wrap"];
}

/** The agent's losses on the way out, by reason; `killed` are those of agents before it. */
function lossesOf(metrics: Metrics): Record<string, number> {
  const lost: Record<string, number> = {};
  for (const [key, value] of metrics.samples) {
    const reason = /^mermin_export_lost_spans_total\{.*exporter="otlp".*\}/.test(key) &&
      /reason="([^"]*)"/.exec(key)?.[1];
    if (reason && value > 0) lost[reason] = value;
  }
  const killed = metrics.sum(/^mermin_flow_spans_killed_total/);
  if (killed > 0) lost.killed = killed;
  return lost;
}

/**
 * Runs an agent against a gateway to a real Collector while `body` makes load and faults, then closes the books; `output` is
 * what the last agent said.
 */
export async function underFault(
  options: TrialOptions,
  body: (trial: Trial) => Promise<void>,
): Promise<Books & { output: string }> {
  await prepareBpffs();
  const { protocol, limits = SMALL_BATCHES } = options;
  const traffic = await Traffic.build();
  await using network = await wideNetwork();
  await using collector = await Collector.start();
  await using gateway = await Gateway.start(protocol, collector.httpEndpoint, options.tls?.certificate);
  await using instance = new Instance();
  const tls = options.tls && { tls: { ca_cert: options.tls.authority } };
  const otlp = { endpoint: gateway.endpoint, protocol, limits: { ...limits, ...tls } };
  const watched = { ...watch(network.left), patterns: options.patterns };
  const settings = { watch: watched, otlp, span: ONE_SPAN_A_FLOW, ...options.settings };
  await using agents = new AsyncDisposableStack();
  const start: Trial["start"] = async ({ settings: change, ...rest } = {}) =>
    agents.use(await Agent.start({ ...settings, ...change }, { instance: instance.name, wrap: options.wrap, ...rest }));
  await using _sink = await traffic.sink(network.right.namespace, PORT, 10);
  const sent = { flows: 0, packets: 0 };
  let port = 20_000;
  const load = async (rate: number, seconds: number) => {
    const options = { to: FIRST_DESTINATION, port: PORT, "source-port": port++, rate, seconds };
    const { flows } = await traffic.newFlows(network.left.namespace, options);
    sent.flows += flows;
    sent.packets += flows;
    return flows;
  };
  const trial: Trial = {
    agent: await start(),
    gateway,
    network,
    traffic,
    instance: instance.name,
    settings,
    sent,
    load,
    start,
  };
  await body(trial);
  const { agent } = trial;

  const settled = await until("all flows to be delivered or lost", async () => {
    const metrics = await agent.metrics();
    const created = metrics.sum(/^mermin_flow_spans_created_total/);
    const open = metrics.sum(/^mermin_flow_spans_active_total/) + metrics.sum(/^mermin_flow_open_packets/);
    const queued = metrics.sum(/^mermin_export_queue_spans/);
    // An agent that follows another makes only the rest of the spans.
    const isDone = options.hasPredecessor ? open === 0 : created >= sent.flows;
    return isDone && queued === 0 ? metrics : undefined;
  }, DRAIN_MS);
  const usage = await agent.usage();
  assert.equal(await agent.stop(), options.exitCode ?? 0, agent.process.output);
  return { ...balance(await collector.stop(), settled, usage, sent), output: agent.process.output };
}

/** The books about what was sent, of the Collector's spans, the agent's last metrics, and what it used. */
export function balance(
  spans: SpanRecord[],
  metrics: Metrics,
  { peakRssBytes }: Usage,
  sent: { flows: number; packets: number },
): Books {
  const distinct = new Map(spans.map((span) => [span.spanId, span.attributes]));
  const attributes = [...distinct.values()];
  return {
    ...sent,
    spans: attributes,
    arrived: distinct.size,
    repeated: spans.length - distinct.size,
    flowsArrived: new Set(attributes.map((all) => all["flow.community_id"])).size,
    packetsArrived: attributes.reduce((sum, all) => sum + Number(all["flow.packets.delta"]), 0),
    created: metrics.sum(/^mermin_flow_spans_created_total/),
    delivered: metrics.sum(/^mermin_export_flow_spans_total\{.*status="ok"/),
    lost: lossesOf(metrics),
    peakRssMib: Math.round(peakRssBytes / 2 ** 20),
  };
}

/** What must hold after every fault: each flow became one span, and each span was delivered or is counted as lost. */
export function assertBalanced({ flows, packets, created, delivered, lost, arrived, packetsArrived }: Books): void {
  const losses = Object.values(lost).reduce((sum, count) => sum + count, 0);
  assert.equal(created, flows, "spans created, of flows sent");
  assert.equal(delivered + losses, created, "delivered and lost, of spans created");
  if (arrived === created) assert.equal(packetsArrived, packets, "packets in spans, of packets sent");
}

/** One row of the table in docs/performance.md. @throws {Error} when the agent took more memory than it may. */
export function report(fault: string, { flows, arrived, repeated, delivered, lost, peakRssMib }: Books): void {
  const losses = Object.entries(lost).map(([reason, count]) => `${count} ${reason}`).join(", ") || "0";
  const again = repeated > 0 ? ` (${repeated} twice)` : "";
  assert.ok(peakRssMib < MAX_PEAK_RSS_MIB, `${fault}: ${peakRssMib} MiB`);
  console.log(`| ${fault} | ${flows} | ${arrived}${again} | ${delivered} | ${losses} | ${peakRssMib} |`);
}
