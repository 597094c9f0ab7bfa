/** Changed configurations are applied under traffic, and no packet is lost or counted twice. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { type AgentSettings, watch } from "../harness/agent_config.ts";
import { checkSpans, first } from "../harness/checks.ts";
import { Collector } from "../harness/collector.ts";
import { compareFlows } from "../harness/flows.ts";
import { counters, type End, Network } from "../harness/netns.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import { finishBlast, Traffic } from "../harness/traffic.ts";
import { freePorts, until } from "../harness/wait.ts";
import { sentFlows } from "./sent.ts";

const PORT = 7000;
const isUdp = ({ attributes }: SpanRecord) => attributes["network.transport"] === "udp";

/** Resolves when `count` more packets have left. */
async function untilSent(end: End, count: number): Promise<void> {
  const before = (await counters(end)).txPackets;
  await until(`${count} more packets`, async () => (await counters(end)).txPackets >= before + count);
}

async function reloads(agent: Agent, status: string): Promise<number> {
  return (await agent.metrics()).sum(new RegExp(`^mermin_config_reloads_total\\{status="${status}"\\}`));
}

Deno.test("a reload under traffic loses nothing: collector, timeouts, filters, port of the metrics, bad files", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using one = await Collector.start();
  await using two = await Collector.start();
  const settings: AgentSettings = { watch: watch(left), otlp: { endpoint: one.grpcEndpoint, protocol: "grpc" } };
  const [metricsPort] = freePorts(1);
  await using instance = new Instance();
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  const allowed = `${new URL(two.httpEndpoint).host},127.0.0.1:${metricsPort}`;
  await using agent = await Agent.start(settings, { instance: instance.name, env: { MERMIN_ALLOW_NET: allowed } });
  const flows = { to: right.ipv4, port: PORT, flows: 200, threads: 2, burst: 8, "pause-us": 500 };
  await using blast = traffic.startBlast(left.namespace, { ...flows, "source-port": 20_000 });
  await untilSent(left, 10_000);

  // A bad file changes nothing, and all that is wrong with it is said.
  await agent.configure("log_levl = 1\nspan { udp_timeout = 5 }\n");
  await agent.reload("reload_refused");
  assert.match(
    agent.process.output,
    /unknown setting; did you mean "log_level"\?.*span\.udp_timeout = 5: not a duration/,
  );
  await untilSent(left, 5000);

  const cut = { ...settings, span: { max_record_interval: "1s" } };
  await agent.configure(cut);
  await agent.reload("reloaded");
  await one.waitForSpans("spans of the new interval", (spans) => spans.filter(isUdp).length >= 100);

  const moved = { ...cut, otlp: { endpoint: two.httpEndpoint, protocol: "http_binary" as const }, metricsPort };
  await agent.configure({ ...moved, extra: `filter "destination" { port = { not_match = ["9"] } }` });
  await agent.reload("reloaded");
  agent.metricsPort = metricsPort;
  await two.waitForSpans("spans at the second collector", (spans) => spans.filter(isUdp).length >= 100);

  // What this process may not reach, and what only a start can do, waits for one; the rest is applied.
  const elsewhere = { endpoint: "http://127.0.0.1:9", protocol: "grpc" as const };
  await agent.configure({ ...moved, otlp: elsewhere, capacity: 5000, pollInterval: "100ms" });
  await agent.reload("restart_needed");
  assert.match(
    agent.process.output,
    /restart is needed for pipeline\.flow_capture\.flow_stats_capacity, export\.traces\.otlp\.endpoint/,
  );
  assert.match(agent.process.output, /not started for it, nor with MERMIN_ALLOW_NET=127\.0\.0\.1:9/);
  await untilSent(left, 5000);
  assert.deepEqual(await Promise.all(["ok", "error", "restart_needed"].map((status) => reloads(agent, status))), [
    2,
    1,
    1,
  ]);

  const blasted = await finishBlast(blast);
  await network.untilQuiet();
  assert.equal(await agent.stop(), 0, agent.process.output);
  const spans = [...await one.stop(), ...await two.stop()].filter(isUdp);
  const truth = await sentFlows(left, right, PORT, blasted.ports);
  assert.deepEqual(first(compareFlows(truth, spans)), []);
  assert.deepEqual(first(checkSpans(spans, left.interfaceName)), []);
});

Deno.test("a reload that takes an interface away ends its flows, and one that brings it back counts anew", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using collector = await Collector.start();
  await using instance = new Instance();
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  const settings: AgentSettings = { watch: watch(left), otlp: { endpoint: collector.grpcEndpoint, protocol: "grpc" } };
  const none = { ...settings, watch: { ...watch(left), interfaceName: "none*" } };
  await using agent = await Agent.start(settings, { instance: instance.name });
  const blast = (port: number) => {
    const few = { to: right.ipv4, port: PORT, threads: 1, flows: 20, packets: 1000, "source-port": port };
    return traffic.blast(left.namespace, few);
  };
  const before = await blast(20_000);
  await network.untilQuiet();
  await agent.configure(none);
  await agent.reload("reloaded");
  await until("no interface to be watched", async () => await agent.watched() === 0);
  const flows = before.ports.filter(([, packets]) => packets > 0).length;
  await collector.waitForSpans("spans of the ended flows", (spans) => spans.filter(isUdp).length === flows);
  await blast(21_000);
  await network.untilQuiet();
  await agent.configure(settings);
  await agent.reload("reloaded");
  await until("the interface to be watched again", async () => await agent.watched() === 1);
  const after = await blast(22_000);
  await network.untilQuiet();
  assert.equal(await agent.stop(), 0, agent.process.output);
  const spans = (await collector.stop()).filter(isUdp);
  const truth = await sentFlows(left, right, PORT, [...before.ports, ...after.ports]);
  assert.deepEqual(first(compareFlows(truth, spans)), []);
});

for (const asConfigMap of [false, true]) {
  const how = asConfigMap ? "the links of a ConfigMap are swapped" : "an editor renames over it";
  Deno.test(`auto_reload applies a file when ${how}`, async () => {
    await prepareBpffs();
    await using network = await Network.create();
    await using instance = new Instance();
    const settings = (level: string): AgentSettings => ({
      watch: watch(network.left),
      extra: `auto_reload = true\nfilter "source" { port = { match = ["${level}"] } }`,
    });
    await using agent = await Agent.start(settings("1"), { instance: instance.name, asConfigMap });
    await agent.configure(settings("2"));
    await until("the reload", async () => await reloads(agent, "ok") === 1);
    await agent.configure(settings("bad"));
    await until("the refusal", async () => await reloads(agent, "error") === 1);
    await agent.configure(settings("3"));
    await until("the next reload", async () => await reloads(agent, "ok") === 2);
    assert.match(agent.process.output, /agent\.hcl has changed: applied filter\.source\.port\.match/);
    assert.equal(await agent.stop(), 0, agent.process.output);
  });
}

Deno.test("what a replaced exporter could not send is counted as lost", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using one = await Collector.start();
  await using two = await Collector.start();
  await using instance = new Instance();
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  const settings: AgentSettings = {
    watch: watch(left),
    span: { udp_timeout: "1s" },
    extra: 'shutdown_timeout = "2s"',
    otlp: { endpoint: one.grpcEndpoint, protocol: "grpc", limits: { max_export_timeout: "60s", timeout: "60s" } },
  };
  const allowed = { MERMIN_ALLOW_NET: new URL(two.grpcEndpoint).host };
  await using agent = await Agent.start(settings, { instance: instance.name, env: allowed });
  const sum = async (name: string) => (await agent.metrics()).sum(new RegExp(`^mermin_${name}`));
  const blast = (port: number) =>
    traffic.blast(left.namespace, {
      to: right.ipv4,
      port: PORT,
      threads: 1,
      flows: 30,
      packets: 300,
      "source-port": port,
    });

  one.signal("SIGSTOP");
  try {
    await blast(20_000);
    await until("spans to wait", async () => await sum("export_queue_spans") > 0);
    await agent.configure({ ...settings, otlp: { endpoint: two.grpcEndpoint, protocol: "grpc" } });
    await agent.reload("reloaded");
    await until("the old exporter to end", async () => await sum('export_lost_spans_total.*reason="shutdown"') > 0);
    await blast(21_000);
    const spans = await two.waitForSpans("spans at the new collector", (spans) => spans.some(isUdp));
    assert.ok(spans.length > 0);
    await until("everything to be accounted for", async () => {
      const [created, done] = [await sum("flow_spans_created_total"), await sum("export_flow_spans_total")];
      return created === done && await sum("export_queue_spans") === 0;
    });
    assert.equal(await agent.stop(), 0, agent.process.output);
  } finally {
    one.signal("SIGCONT");
  }
});
