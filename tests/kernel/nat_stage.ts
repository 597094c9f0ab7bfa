/** What the tests of translated connections begin and end with: a host that translates, servers behind it, an agent's spans. */

import assert from "node:assert/strict";
import { Agent, type AgentOptions, Instance, prepareBpffs } from "../harness/agent.ts";
import type { AgentSettings } from "../harness/agent_config.ts";
import { Collector } from "../harness/collector.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import type { Process } from "../harness/process.ts";
import { Traffic } from "../harness/traffic.ts";
import { NatHost, PORT, SERVER_PORT, SERVICE } from "./nat.ts";

/** From which the client talks first. */
export const CLIENT_PORT = 20_000;
const USUAL = { to: SERVICE.ipv4, port: PORT, "source-port": CLIENT_PORT };

export interface NatStageOptions {
  /** Rules of nftables; none without. */
  readonly rules?: readonly string[];
  readonly masquerade?: boolean;
  /** Which of the servers listen; the first without. */
  readonly servers?: readonly number[];
}

export class NatStage implements AsyncDisposable {
  private constructor(
    readonly nat: NatHost,
    readonly traffic: Traffic,
    readonly collector: Collector,
    private readonly instance: Instance,
    private readonly resources: AsyncDisposableStack,
  ) {}

  /** Resolves when the servers listen and the collector does; there is no agent yet. */
  static async open({ rules = [], masquerade, servers = [0] }: NatStageOptions = {}): Promise<NatStage> {
    await prepareBpffs();
    await using resources = new AsyncDisposableStack();
    const traffic = await Traffic.build();
    const nat = resources.use(await NatHost.create());
    await nat.translate(rules, { masquerade });
    const collector = resources.use(await Collector.start());
    const instance = resources.use(new Instance());
    for (const server of servers) resources.use(await traffic.serve(nat.servers[server], SERVER_PORT));
    return new NatStage(nat, traffic, collector, instance, resources.move());
  }

  /** Starts an agent that watches all interfaces of the host. */
  start(change: Partial<AgentSettings> = {}, wrap?: AgentOptions["wrap"]): Promise<Agent> {
    const settings: AgentSettings = {
      watch: { interfaceName: "client", patterns: ["server*"], namespacePath: this.nat.host.path },
      otlp: { endpoint: this.collector.grpcEndpoint, protocol: "grpc" },
      ...change,
      span: { trace_id_timeout: "24h", ...change.span },
    };
    return Agent.start(settings, { instance: this.instance.name, wrap });
  }

  /** The client talks to the service, unless `options` say otherwise. */
  async converse(options: Record<string, string | number>): Promise<void> {
    await this.traffic.converse(this.nat.client, { ...USUAL, ...options });
  }

  /** The same beside the test; disposing breaks it off. */
  startConverse(options: Record<string, string | number>): Process {
    return this.traffic.startConverse(this.nat.client, { ...USUAL, ...options });
  }

  /** Stops the agent in order and returns all its spans of a protocol. */
  async end(agent: Agent, protocol: string): Promise<SpanRecord[]> {
    assert.equal(await agent.stop(), 0, agent.process.output);
    return (await this.collector.stop()).filter(({ attributes: a }) => a["network.transport"] === protocol);
  }

  /** The connections that the host tracks, as the kernel lists them. */
  tracked(): Promise<string> {
    return this.nat.host.run(["cat", "/proc/net/nf_conntrack"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}
