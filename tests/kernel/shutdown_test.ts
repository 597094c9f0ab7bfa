/** The stop of an agent whose collector hangs: in time, and with every flow preserved, or counted as lost. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { type AgentSettings, watch } from "../harness/agent_config.ts";
import { Collector } from "../harness/collector.ts";
import { Network } from "../harness/netns.ts";
import { attachedPrograms } from "../harness/programs.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";

const PORT = 7000;
const FLOWS = 5000;
const SHUTDOWN_SECONDS = 3;
/** What a busy machine may take for the steps that come after the time is over; less than a request waits for its answer. */
const GRACE_SECONDS = 60;

/** A collector that takes the connection and never answers. */
function hungCollector(): Disposable & { endpoint: string } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return { endpoint: `http://127.0.0.1:${listener.addr.port}`, [Symbol.dispose]: () => listener.close() };
}

/** Makes flows and returns how many are open: the kernel may have made a few of its own. */
async function makeFlows(traffic: Traffic, network: Network, agent: Agent): Promise<number> {
  const { left, right } = network;
  await using _server = await traffic.serve(right.namespace, PORT);
  const options = { protocol: "tcp", to: right.ipv4, port: PORT, flows: FLOWS, "source-port": 10_000 };
  await traffic.converse(left.namespace, options);
  await network.untilQuiet();
  const open = (await agent.metrics()).sum(/^mermin_flow_spans_active_total/);
  assert.ok(open >= FLOWS);
  return open;
}

/** While the programs stay attached, the kernel may send a neighbour or group message, which is a flow more. */
function assertAbout(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 5, `${actual} is not about ${expected}`);
}

/** The figures of the line that the agent writes at its end. */
function stopped(agent: Agent): { timedOut: boolean; preserved: number; lost: number } {
  const line = agent.process.output.split("\n").find((text) => text.includes("event=stopped"));
  assert.ok(line, agent.process.output);
  const field = (name: string) => new RegExp(` ${name}=(\\S+)`).exec(line)?.[1];
  assert.ok(Number(field("seconds")) < SHUTDOWN_SECONDS + GRACE_SECONDS, line);
  return {
    timedOut: field("timed_out") === "true",
    preserved: Number(field("preserved")),
    lost: Number(field("lost")),
  };
}

function settingsFor(network: Network, endpoint: string, onExit: AgentSettings["onExit"]): AgentSettings {
  return {
    watch: watch(network.left),
    onExit,
    otlp: { endpoint, protocol: "http_binary", limits: { timeout: "10m", max_export_timeout: "10m" } },
    // None is due before the stop.
    span: { tcp_fin_timeout: "10m", tcp_timeout: "10m", max_record_interval: "10m" },
    extra: `shutdown_timeout = "${SHUTDOWN_SECONDS}s"`,
  };
}

Deno.test("what a hung collector does not take in time is preserved: the next agent exports the rest", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  await using instance = new Instance();
  using hung = hungCollector();
  await using before = await Agent.start(settingsFor(network, hung.endpoint, "keep"), { instance: instance.name });
  const open = await makeFlows(traffic, network, before);
  assert.equal(await before.stop(), 0, before.process.output);
  const { timedOut, preserved, lost } = stopped(before);
  assert.equal(timedOut, true);
  assert.ok(preserved > 0 && lost > 0, `preserved ${preserved}, lost ${lost}`);
  assertAbout(preserved + lost, open);

  await using collector = await Collector.start();
  await using after = await Agent.start(settingsFor(network, collector.httpEndpoint, "keep"), {
    instance: instance.name,
  });
  assert.equal(await after.stop(), 0, after.process.output);
  assert.deepEqual({ ...stopped(after), preserved: 0 }, { timedOut: false, preserved: 0, lost: 0 });
  const spans = await collector.stop();
  assertAbout(new Set(spans.map(({ spanId }) => spanId)).size, preserved);
});

Deno.test("without a successor the agent counts what a hung collector did not take as lost", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  await using instance = new Instance();
  using hung = hungCollector();
  const settings = settingsFor(network, hung.endpoint, "detach");
  await using agent = await Agent.start(settings, { instance: instance.name });
  const open = await makeFlows(traffic, network, agent);
  assert.equal(await agent.stop(), 0, agent.process.output);
  assert.deepEqual(stopped(agent), { timedOut: true, preserved: 0, lost: open });
  assert.deepEqual(await attachedPrograms(traffic, network.left), { ingress: [], egress: [] });
});

Deno.test("a second signal ends the agent at once, and what is pinned stays for the next", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  await using instance = new Instance();
  using hung = hungCollector();
  const settings = { ...settingsFor(network, hung.endpoint, "keep"), extra: 'shutdown_timeout = "1h"' };
  await using agent = await Agent.start(settings, { instance: instance.name });
  await makeFlows(traffic, network, agent);
  agent.process.signal("SIGTERM");
  await agent.process.waitForLine(/event=stopping/);
  await until("the metrics to go on", async () => (await agent.metrics()).sum(/^mermin_flow_spans_created_total/) > 0);
  assert.equal(await agent.probe("/livez"), 200);
  agent.process.signal("SIGTERM");
  assert.equal((await agent.process.exited).code, 1, agent.process.output);
  assert.match(agent.process.output, /event=ended_at_once/);
  const { ingress, egress } = await attachedPrograms(traffic, network.left);
  assert.deepEqual([ingress.length, egress.length], [1, 1]);
});
