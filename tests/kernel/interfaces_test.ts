/** Interfaces come, go, get other names and indexes, refuse, and nothing is counted twice, missed or under a wrong name. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { type AgentSettings, watch } from "../harness/agent_config.ts";
import { first } from "../harness/checks.ts";
import { Collector } from "../harness/collector.ts";
import { compareFlows } from "../harness/flows.ts";
import { type End, Network } from "../harness/netns.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import { run } from "../harness/process.ts";
import { attachedPrograms } from "../harness/programs.ts";
import { finishBlast, Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import { sentFlows, untilSent } from "./sent.ts";

const PORT = 7000;
/** With 500 of them: tests/faults/interfaces_test.ts. */
const MANY = 60;
/** Grace periods of the kernel make an interface cost 30 to 60 ms each way, on a busy machine more. */
const MANY_TIMEOUT_MS = 300_000;
const MIB = 1 << 20;
const CLSACT = { MERMIN_ATTACH: "clsact" };

/** A second pair between the namespaces of `network`; its left end is `name` and has this index. */
async function addPair(network: Network, name: string, index: number): Promise<{ left: End; right: End }> {
  const pair = {
    left: { ...network.left, interfaceName: name, mac: "02:00:00:78:00:01", ipv4: "10.78.0.1" },
    right: { ...network.right, interfaceName: "far", mac: "02:00:00:78:00:02", ipv4: "10.78.0.2" },
  };
  await run(
    ["ip", "-batch", "-"],
    `link add ${name} index ${index} netns ${pair.left.namespace.name} address ${pair.left.mac} type veth ` +
      `peer name far netns ${pair.right.namespace.name} address ${pair.right.mac}\n`,
  );
  await configure(pair.left, pair.right);
  await configure(pair.right, pair.left);
  return pair;
}

async function configure(own: End, peer: End): Promise<void> {
  const { namespace, interfaceName: name } = own;
  const commands = [
    `link set ${name} addrgenmode none`,
    `addr add ${own.ipv4}/24 dev ${name}`,
    `link set ${name} up`,
    `neigh replace ${peer.ipv4} lladdr ${peer.mac} nud permanent dev ${name}`,
  ];
  await namespace.run(["ip", "-batch", "-"], commands.join("\n") + "\n");
}

/** Names of interfaces and the UDP packets that spans have counted there. */
function packetsByName(spans: SpanRecord[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { attributes } of spans.filter(({ attributes }) => attributes["network.transport"] === "udp")) {
    const name = String(attributes["network.interface.name"]);
    sums[name] = (sums[name] ?? 0) + Number(attributes["flow.packets.delta"]);
  }
  return sums;
}

function settingsFor(
  network: Network,
  collector: Collector,
  interfaceName: string,
  ...patterns: string[]
): AgentSettings {
  return {
    watch: { ...watch(network.left), interfaceName, patterns },
    otlp: { endpoint: collector.grpcEndpoint, protocol: "grpc" },
  };
}

Deno.test("an interface that is renamed under traffic is counted on under its new name", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = await addPair(network, "w1", 501);
  await using collector = await Collector.start();
  await using instance = new Instance();
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  const settings = { ...settingsFor(network, collector, "w*"), span: { max_record_interval: "1s" } };
  await using agent = await Agent.start(settings, { instance: instance.name });
  const options = {
    to: right.ipv4,
    port: PORT,
    flows: 20,
    threads: 2,
    burst: 8,
    "pause-us": 500,
    "source-port": 20_000,
  };
  await using blast = traffic.startBlast(left.namespace, options);
  await untilSent({ ...left, interfaceName: "w1" }, 10_000);
  await until("spans of it", async () => (await agent.metrics()).sum(/^mermin_flow_spans_created_total/) >= 20);
  await left.namespace.run(["ip", "link", "set", "w1", "name", "w2"]);
  await agent.process.waitForLine(/w1 is called w2 now/);
  await untilSent({ ...left, interfaceName: "w2" }, 10_000);
  const blasted = await finishBlast(blast);
  await network.untilQuiet();
  assert.equal(await agent.stop(), 0, agent.process.output);
  const spans = await collector.stop();
  const truth = await sentFlows(left, right, PORT, blasted.ports);
  assert.deepEqual(first(compareFlows(truth, spans, (address) => address.startsWith("10.78."))), []);
  const names = packetsByName(spans);
  assert.deepEqual(Object.keys(names).sort(), ["w1", "w2"]);
  assert.ok(names.w2 >= 10_000, "what followed is counted under the new name");
});

Deno.test("an interface whose new name does not match is let go with its flows, and watched again when it matches", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = await addPair(network, "w1", 501);
  await using collector = await Collector.start();
  await using instance = new Instance();
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  await using agent = await Agent.start(settingsFor(network, collector, "w*"), { instance: instance.name });
  const blast = (packets: number) =>
    traffic.blast(left.namespace, { to: right.ipv4, port: PORT, threads: 1, packets, "source-port": 20_000 });
  const rename = (from: string, to: string) => left.namespace.run(["ip", "link", "set", from, "name", to]);
  await blast(1000);
  await rename("w1", "x1");
  await agent.process.waitForLine(/w1 is called x1 now, which is not meant/);
  assert.deepEqual(await attachedPrograms(traffic, { ...left, interfaceName: "x1" }), { ingress: [], egress: [] });
  await blast(100);
  await rename("x1", "w3");
  await agent.process.waitForLine(/watching w3/);
  await blast(10);
  assert.equal(await agent.stop(), 0, agent.process.output);
  assert.deepEqual(packetsByName(await collector.stop()), { w1: 1000, w3: 10 });
});

for (const { name, env } of [{ name: "TCX", env: {} }, { name: "clsact", env: CLSACT }]) {
  Deno.test(`another interface with the index of one that was deleted never counts under its name (${name})`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const old = await addPair(network, "w1", 501);
    await using collector = await Collector.start();
    await using instance = new Instance();
    await using _sink = await traffic.sink(old.right.namespace, PORT, 1);
    const settings = settingsFor(network, collector, "w*");
    await using agent = await Agent.start(settings, { instance: instance.name, env });
    const blast = (packets: number) =>
      traffic.blast(old.left.namespace, { to: old.right.ipv4, port: PORT, threads: 1, packets, "source-port": 20_000 });
    await blast(1000);
    // In one go, so that the agent looks before or after but hardly between.
    const peer = `peer name far2 netns ${old.right.namespace.name}`;
    await old.left.namespace.run(["ip", "-batch", "-"], `link del w1\nlink add w9 index 501 type veth ${peer}\n`);
    await agent.process.waitForLine(/watching w9/);
    await configure({ ...old.left, interfaceName: "w9" }, old.right);
    await configure({ ...old.right, interfaceName: "far2" }, old.left);
    await blast(700);
    assert.equal(await agent.stop(), 0, agent.process.output);
    assert.deepEqual(packetsByName(await collector.stop()), { w1: 1000, w9: 700 });
  });
}

Deno.test(`${MANY} interfaces come and go under traffic: sums are exact and memory is bounded`, async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using collector = await Collector.start();
  await using instance = new Instance();
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  const settings = settingsFor(network, collector, left.interfaceName, "w*");
  await using agent = await Agent.start(settings, { instance: instance.name });
  const options = {
    to: right.ipv4,
    port: PORT,
    flows: 50,
    threads: 1,
    burst: 8,
    "pause-us": 2000,
    "source-port": 20_000,
  };
  await using blast = traffic.startBlast(left.namespace, options);
  const numbers = Array.from({ length: MANY }, (_, i) => i);
  // They are up, and nothing keeps the kernel from sending its greetings on all of them.
  await left.namespace.run(["nft", "delete", "table", "ip6", "unasked"]);
  const add = (i: number) => `link add w${i} type veth peer name p${i}\nlink set w${i} up\nlink set p${i} up\n`;
  const startBytes = (await agent.usage()).rssBytes;
  await left.namespace.run(["ip", "-batch", "-"], numbers.map(add).join(""));
  await until(`${MANY} to be watched`, async () => await agent.watched() === MANY + 1, MANY_TIMEOUT_MS);
  // Deleted in between, which shows that each look takes all that has happened by then.
  await left.namespace.run(["ip", "-batch", "-"], numbers.map((i) => `link del w${i}\n`).join(""));
  await until("them to be forgotten", async () => await agent.watched() === 1, MANY_TIMEOUT_MS);
  const usage = await agent.usage();
  assert.ok(usage.peakRssBytes < startBytes + 64 * MIB, `${startBytes / MIB} to ${usage.peakRssBytes / MIB} MiB`);
  const blasted = await finishBlast(blast);
  await network.untilQuiet();
  await until("all that was counted to be in spans or open flows", async () => {
    const metrics = await agent.metrics();
    const counted = metrics.sum(/^mermin_capture_packets_total\{.*outcome="counted"/);
    return counted === metrics.sum(/^mermin_flow_span_packets_total/) + metrics.sum(/^mermin_flow_open_packets/);
  });
  assert.equal(await agent.stop(), 0, agent.process.output);
  const truth = await sentFlows(left, right, PORT, blasted.ports);
  const spans = await collector.stop();
  const ours = spans.filter(({ attributes }) => attributes["destination.port"] === PORT);
  assert.deepEqual(first(compareFlows(truth, ours)), []);
  assert.equal(blasted.refused, 0);
  const names = new Set(spans.map(({ attributes }) => String(attributes["network.interface.name"])));
  assert.ok(names.size > MANY / 2, `greetings were counted on ${names.size} interfaces`);
  assert.ok(!names.has("unknown"));
});

Deno.test("interfaces that refuse for want of descriptors are told of and watched later", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left } = network;
  await using collector = await Collector.start();
  await using instance = new Instance();
  const settings = settingsFor(network, collector, "w*");
  await using agent = await Agent.launch(settings, { instance: instance.name });
  await agent.process.waitForLine(/no interface matches/);
  const prlimit = (...options: string[]) =>
    left.namespace.run(["prlimit", "--pid", String(agent.process.pid), ...options]);
  const files = (await prlimit("--nofile", "-o", "SOFT", "--noheadings")).trim();
  // Those that are open stay.
  await prlimit("--nofile=3:");
  await left.namespace.run(["ip", "link", "add", "w1", "type", "veth", "peer", "name", "p1"]);
  await agent.process.waitForLine(/Too many open files/);
  const w1 = { ...left, interfaceName: "w1" };
  assert.deepEqual(await attachedPrograms(traffic, w1), { ingress: [], egress: [] });
  await prlimit(`--nofile=${files}:`);
  await agent.process.waitForLine(/watching w1/);
  assert.equal(await agent.stop(), 0, agent.process.output);
});

Deno.test("tcx_order says who is first among the programs of an interface", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left } = network;
  await using oneInstance = new Instance();
  await using lastInstance = new Instance();
  await using firstInstance = new Instance();
  const start = async (instance: Instance, tcxOrder: "first" | "last") => {
    const before = await traffic.hooks(left.namespace, left.interfaceName);
    const agent = await Agent.start({ watch: watch(left), tcxOrder }, { instance: instance.name });
    const hooks = await traffic.hooks(left.namespace, left.interfaceName);
    const [id] = hooks.egress.filter((id) => !before.egress.includes(id));
    return { agent, id, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
  };
  await using one = await start(oneInstance, "first");
  await using last = await start(lastInstance, "last");
  await using top = await start(firstInstance, "first");
  const { egress } = await traffic.hooks(left.namespace, left.interfaceName);
  assert.deepEqual(egress, [top.id, one.id, last.id]);
});

Deno.test("tc_priority is that of the filters", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const { left } = network;
  await using instance = new Instance();
  await using _agent = await Agent.start({ watch: watch(left), tcPriority: 77 }, {
    instance: instance.name,
    env: CLSACT,
  });
  for (const direction of ["ingress", "egress"]) {
    const command = ["tc", "-j", "filter", "show", "dev", left.interfaceName, direction];
    const filters: { pref: number; options?: { prog?: unknown } }[] = JSON.parse(await left.namespace.run(command));
    assert.deepEqual(filters.filter(({ options }) => options?.prog).map(({ pref }) => pref), [77]);
  }
});

Deno.test("a namespace that does not exist ends the agent with a message that names it", async () => {
  await using network = await Network.create();
  const settings = { watch: { ...watch(network.left), namespacePath: "/run/netns/nowhere" } };
  await using instance = new Instance();
  await using agent = await Agent.launch(settings, { instance: instance.name });
  const { code, stderr } = await agent.result();
  assert.equal(code, 1, stderr);
  assert.match(stderr, /cannot open network namespace \/run\/netns\/nowhere: No such file.*network_namespace/);
});

Deno.test("auto is the process's own namespace, and in a pod that of the host", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const { left } = network;
  const wrap = (command: string[]) => left.namespace.command(command);
  const settings = { watch: { ...watch(left), namespacePath: "auto" } };
  await using instance = new Instance();
  {
    await using agent = await Agent.launch(settings, { instance: instance.name, wrap });
    await agent.process.waitForLine(new RegExp(`watching ${left.interfaceName}`));
  }
  const env = { KUBERNETES_SERVICE_HOST: "10.96.0.1" };
  await using agent = await Agent.launch(settings, { instance: instance.name, wrap, env });
  // Not every machine that runs this test lets it see the first process.
  const answer = /no interface matches|cannot open network namespace \/proc\/1\/ns\/net: .*hostPID.*"self"/;
  const line = await agent.process.waitForLine(answer);
  assert.doesNotMatch(line, new RegExp(`there are .*${left.interfaceName}`));
});
