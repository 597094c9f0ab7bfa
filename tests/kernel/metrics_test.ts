/** The agent's metrics as a scraper gets them: promtool's verdict, the pages, what adds up. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Metrics } from "../harness/metrics.ts";
import { type End, Network } from "../harness/netns.ts";
import { tryRun } from "../harness/process.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";

const PORT = 7000;
/** Dashboards in the field know this gauge by a counter's name. */
const KEPT = "mermin_flow_spans_active_total";

async function page(agent: Agent, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${agent.metricsPort}${path}`);
  return { status: response.status, text: await response.text() };
}

function names(text: string): string[] {
  return text.split("\n").flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? []);
}

async function converse(traffic: Traffic, from: End, to: End, flows: number): Promise<void> {
  await using _server = await traffic.serve(to.namespace, PORT);
  await traffic.converse(from.namespace, { protocol: "tcp", to: to.ipv4, port: PORT, flows, "source-port": 20_000 });
}

Deno.test("promtool is content with every page of the agent, but for the one name that is kept", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using instance = new Instance();
  const settings = { watch: watch(left), metricsExtra: "debug_metrics_enabled = true" };
  await using agent = await Agent.start(settings, { instance: instance.name });
  await converse(traffic, left, right, 20);
  await until("spans to be made", async () => (await agent.metrics()).sum(/^mermin_flow_spans_created_total/) > 0);
  for (const path of ["/metrics", "/metrics/standard", "/metrics/debug"]) {
    const { status, text } = await page(agent, path);
    assert.equal(status, 200, path);
    const verdict = await tryRun(["promtool", "check", "metrics"], text);
    const lines = `${verdict.stdout}${verdict.stderr}`.split("\n").filter((line) => line !== "");
    assert.deepEqual(lines.filter((line) => !line.startsWith(`${KEPT} `)), [], path);
    assert.equal(lines.length, path === "/metrics/debug" ? 0 : 1, path);
  }
  assert.equal(await agent.stop(), 0, agent.process.output);
});

Deno.test("the pages divide the metrics, and the counters of a hook add up", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using instance = new Instance();
  const settings = { watch: watch(left), metricsExtra: "debug_metrics_enabled = true" };
  await using agent = await Agent.start(settings, { instance: instance.name });
  await converse(traffic, left, right, 20);
  await network.untilQuiet();
  const [all, standard, debug] = await Promise.all(
    ["/metrics", "/metrics/standard", "/metrics/debug"].map(async (path) => (await page(agent, path)).text),
  );
  assert.deepEqual([...names(standard), ...names(debug)].sort(), names(all).sort());
  assert.ok(names(debug).every((name) => name.startsWith("mermin_interface_")));
  assert.ok(!standard.includes("interface="));

  const metrics = new Metrics(all);
  for (const direction of ["ingress", "egress"]) {
    const at = `interface="${left.interfaceName}",direction="${direction}"`;
    const seen = metrics.sum(new RegExp(`^mermin_interface_packets_total\\{${at}\\}`));
    assert.ok(seen > 0);
    assert.equal(metrics.sum(new RegExp(`^mermin_interface_capture_packets_total\\{${at},`)), seen);
    assert.equal(metrics.sum(new RegExp(`^mermin_capture_packets_total\\{direction="${direction}",`)), seen);
  }
  assert.equal(await agent.stop(), 0, agent.process.output);
});

Deno.test("series of an interface that is gone are shown for stale_metric_ttl, and sums keep what it counted", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const { left, right } = network;
  const { namespace } = left;
  await using instance = new Instance();
  const settings = {
    watch: { interfaceName: "mm*", namespacePath: namespace.path },
    metricsExtra: 'debug_metrics_enabled = true\nstale_metric_ttl = "10s"',
  };
  await using agent = await Agent.start(settings, { instance: instance.name });
  await namespace.run(["ping", "-c", "3", "-i", "0.2", right.ipv4]);
  const total = /^mermin_capture_packets_total\{/;
  await until("the pings to be counted", async () => (await agent.metrics()).sum(total) >= 6);
  const before = (await agent.metrics()).sum(total);
  await namespace.run(["ip", "link", "del", left.interfaceName]);
  const own = new RegExp(`^mermin_interface_packets_total\\{interface="${left.interfaceName}"`);
  await agent.process.waitForLine(/interface_gone/);
  const gone = await agent.metrics();
  assert.ok(gone.sum(own) >= before, "the last values are shown");
  await until(
    "the series to go",
    async () => ![...(await agent.metrics()).samples.keys()].some((key) => own.test(key)),
  );
  assert.ok((await agent.metrics()).sum(total) >= before);
  assert.equal(await agent.stop(), 0, agent.process.output);
});
