/** Flows are retired while two CPUs send into them at full rate: no packet is lost uncounted or credited to another flow. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { type AgentSettings, watch } from "../harness/agent_config.ts";
import { checkSpans, first } from "../harness/checks.ts";
import { Collector } from "../harness/collector.ts";
import { compareFlows } from "../harness/flows.ts";
import { Network } from "../harness/netns.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import { Traffic } from "../harness/traffic.ts";
import { sentFlows } from "./sent.ts";

const PORT = 7000;

function packetsOf(spans: SpanRecord[]): number {
  return spans.reduce((sum, { attributes }) => sum + Number(attributes["flow.packets.delta"]), 0);
}

const cases: {
  name: string;
  settings: Pick<AgentSettings, "span" | "capacity" | "pollInterval">;
  blast: Record<string, number>;
  reason: string;
  /** The table may be full for longer than the agent needs to wake: that is a loss, and it is counted. */
  mayLose?: boolean;
}[] = [
  {
    name: "idle flows that come back at that moment",
    settings: { span: { udp_timeout: "100ms" }, pollInterval: "50ms" },
    // Each of the threads comes back to a flow after about the idle timeout.
    blast: { flows: 2000, burst: 16, packets: 600_000 },
    reason: "idle_timeout",
  },
  {
    name: "one flow that never pauses",
    settings: { span: { max_record_interval: "1s" }, pollInterval: "50ms" },
    blast: { flows: 1, burst: 64, packets: 800_000 },
    reason: "active_timeout",
  },
  {
    name: "more flows than the table holds",
    settings: { capacity: 1024, pollInterval: "50ms" },
    blast: { flows: 1500, burst: 16, packets: 300_000, "pause-us": 50 },
    reason: "lack_of_resources",
    mayLose: true,
  },
];
for (const { name, settings, blast, reason, mayLose } of cases) {
  Deno.test(`retiring ${name} at full packet rate on two CPUs loses no packet uncounted`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const { left, right } = network;
    await using collector = await Collector.start();
    await using instance = new Instance();
    const otlp = { endpoint: collector.grpcEndpoint, protocol: "grpc" as const };
    await using agent = await Agent.start({ watch: watch(left), otlp, ...settings }, { instance: instance.name });
    await using _sink = await traffic.sink(right.namespace, PORT, 1);
    const options = { to: right.ipv4, port: PORT, "source-port": 20_000, threads: 2, ...blast };
    const { ports, refused } = await traffic.blast(left.namespace, options);
    assert.equal(refused, 0);
    await network.untilQuiet();
    const lost = (await agent.metrics()).sum(/^mermin_capture_packets_total\{.*outcome="lost"/);
    assert.equal(await agent.stop(), 0, agent.process.output);
    const spans = (await collector.stop()).filter(({ attributes }) => attributes["network.transport"] === "udp");
    assert.equal(packetsOf(spans) + lost, ports.reduce((sum, [, packets]) => sum + packets, 0));
    if (lost === 0) assert.deepEqual(first(compareFlows(await sentFlows(left, right, PORT, ports), spans)), []);
    else assert.ok(mayLose, `${lost} packets were lost`);
    assert.deepEqual(first(checkSpans(spans, left.interfaceName)), []);
    const reasons = new Set(spans.map(({ attributes }) => attributes["flow.end_reason"]));
    assert.ok(reasons.has(reason), `no span ended with ${reason}, only with ${[...reasons]}`);
  });
}
