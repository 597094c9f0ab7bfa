/** Two ends of one veth pair, each with an agent, a Collector and a tcpdump of its own. */

import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { type AgentSettings, watch } from "../harness/agent_config.ts";
import { Capture } from "../harness/capture.ts";
import { Collector } from "../harness/collector.ts";
import { identify } from "../harness/community_id.ts";
import { countFlows, describeTuple } from "../harness/flows.ts";
import type { End, Network } from "../harness/netns.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import type { CountedPacket, Packet } from "../harness/pcap.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import type { Interface } from "./reference.ts";

export type Side = "left" | "right";

/** What one observer has to say, and what really passed it. */
export class Observed {
  /** Community ID by conversation. */
  readonly #ids: Map<string, string>;

  constructor(
    readonly end: End,
    readonly counting: Interface,
    readonly packets: Packet[],
    readonly spans: SpanRecord[],
    ids: Map<string, string>,
  ) {
    this.#ids = ids;
  }

  /** The Community ID that the judge gives the conversation of these packets. */
  communityId(packets: Packet[]): string {
    const [{ tuple }] = countFlows(packets.slice(0, 1));
    const id = this.#ids.get(describeTuple(tuple));
    if (id === undefined) throw new Error(`no Community ID of ${describeTuple(tuple)}`);
    return id;
  }
}

export class Stage implements AsyncDisposable {
  private constructor(
    readonly network: Network,
    readonly traffic: Traffic,
    private readonly sides: Record<Side, { agent: Agent; collector: Collector; capture: Capture }>,
    private readonly resources: AsyncDisposableStack,
  ) {}

  /** Resolves when both agents are attached and both captures run. */
  static async open(network: Network, span: AgentSettings["span"]): Promise<Stage> {
    await prepareBpffs();
    const resources = new AsyncDisposableStack();
    try {
      const traffic = await Traffic.build();
      const open = async (end: End) => {
        const collector = resources.use(await Collector.start());
        const instance = resources.use(new Instance());
        const otlp = { endpoint: collector.grpcEndpoint, protocol: "grpc" as const };
        const settings = { watch: watch(end), otlp, span };
        const agent = resources.use(await Agent.start(settings, { instance: instance.name }));
        return { agent, collector, capture: resources.use(await Capture.start(end)) };
      };
      const [left, right] = await Promise.all([open(network.left), open(network.right)]);
      return new Stage(network, traffic, { left, right }, resources);
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  /** Waits until all flows of one side have ended, stops everything of it and returns what it saw. */
  async observed(side: Side): Promise<Observed> {
    const { agent, collector, capture } = this.sides[side];
    await until("all flows to end", async () => (await agent.metrics()).sum(/^mermin_flow_spans_active_total/) === 0);
    const packets = await capture.stop();
    const code = await agent.stop();
    if (code !== 0) throw new Error(`The agent of ${side} ended with ${code}:\n${agent.process.output}`);
    return await observe(this.network[side], packets, await collector.stop());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

/** What was seen at `end`, with what judges it. */
export async function observe(end: End, packets: Packet[], spans: SpanRecord[]): Promise<Observed> {
  const link = await end.namespace.run(["ip", "-j", "link", "show", "dev", end.interfaceName]);
  const counting = { name: end.interfaceName, index: JSON.parse(link)[0].ifindex, mac: end.mac };
  return new Observed(end, counting, packets, spans, await communityIds(packets));
}

/** Of every conversation in both directions, so that any of its packets finds it. */
async function communityIds(packets: CountedPacket[]): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  for (const { communityId, tuple } of await identify(packets.flatMap((packet) => countFlows([packet])))) {
    ids.set(describeTuple(tuple), communityId);
  }
  return ids;
}
