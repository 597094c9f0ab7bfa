/** An agent follows one of another version, whose table has another layout: sums stay exact, both ways. */

import assert from "node:assert/strict";
import { Agent, agentPath, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { changedAgent } from "../harness/changed.ts";
import { first } from "../harness/checks.ts";
import { Collector } from "../harness/collector.ts";
import { compareFlows } from "../harness/flows.ts";
import { Network, uniqueName } from "../harness/netns.ts";
import { run } from "../harness/process.ts";
import { attachedPrograms, PIN_ROOT, pins } from "../harness/programs.ts";
import { finishBlast, Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import { sentFlows, untilSent } from "./sent.ts";
import { attachTo, builtLoader, drain, openSession, sessionOptions } from "./session.ts";

const PORT = 7000;
const CLSACT = { MERMIN_ATTACH: "clsact" };

const stop = async (agent: Agent) => assert.equal(await agent.stop(), 0, agent.process.output);
const kill = (agent: Agent) => agent.kill();

const cases: {
  name: string;
  end: (agent: Agent) => Promise<void>;
  maxRecordInterval: string;
  isDowngrade?: boolean;
  env?: Record<string, string>;
}[] = [
  { name: "an older one that was stopped", end: stop, maxRecordInterval: "1s" },
  // What a killed agent had not sent yet is gone with it, so nothing is due before.
  { name: "an older one that was killed", end: kill, maxRecordInterval: "60s" },
  { name: "a newer one that was killed", end: kill, maxRecordInterval: "60s", isDowngrade: true },
  { name: "an older one that was killed, with clsact", end: kill, maxRecordInterval: "60s", env: CLSACT },
];
for (const { name, end, maxRecordInterval, isDowngrade, env } of cases) {
  Deno.test(`under traffic an agent follows ${name}: nothing lost, nothing doubled`, async () => {
    await prepareBpffs();
    const programs = [await changedAgent(), agentPath()];
    const [firstProgram, secondProgram] = isDowngrade ? programs.toReversed() : programs;
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const { left, right } = network;
    await using collector = await Collector.start();
    await using instance = new Instance();
    const settings = {
      watch: watch(left),
      otlp: { endpoint: collector.grpcEndpoint, protocol: "grpc" as const },
      onExit: "keep" as const,
      span: { max_record_interval: maxRecordInterval },
    };
    await using _sink = await traffic.sink(right.namespace, PORT, 1);
    const flows = { to: right.ipv4, port: PORT, threads: 2, burst: 8, "pause-us": 500 };
    await using before = await Agent.start(settings, { instance: instance.name, program: firstProgram, env });
    await using blast = traffic.startBlast(left.namespace, { ...flows, flows: 100, "source-port": 20_000 });
    await untilSent(left, 20_000);
    const hooks = await attachedPrograms(traffic, left);
    await end(before);
    // Nobody is there now, and the old programs go on counting: old flows and new ones.
    assert.deepEqual(await attachedPrograms(traffic, left), hooks);
    const alone = { ...flows, flows: 50, "source-port": 30_000, packets: 2000 };
    const duringGap = await traffic.blast(left.namespace, alone);
    await using after = await Agent.start(settings, { instance: instance.name, program: secondProgram, env });
    await after.process.waitForLine(/takes over the flows of an agent of another version/);
    const taken = await attachedPrograms(traffic, left);
    assert.deepEqual([taken.ingress.length, taken.egress.length], [1, 1]);
    assert.notDeepEqual(taken, hooks);
    await untilSent(left, 20_000);
    const blasted = await finishBlast(blast);
    await network.untilQuiet();
    await until(
      "the old table to be read and removed",
      async () => new Set((await pins(instance.name)).map((path) => path.split("/")[6])).size === 1,
    );
    await until("all that was counted to be in spans or open flows", async () => {
      const metrics = await after.metrics();
      const counted = metrics.sum(/^mermin_capture_packets_total\{.*outcome="counted"/);
      return counted === metrics.sum(/^mermin_flow_span_packets_total/) + metrics.sum(/^mermin_flow_open_packets/);
    });
    assert.equal(await after.stop(), 0, after.process.output);
    const truth = await sentFlows(left, right, PORT, [...blasted.ports, ...duringGap.ports]);
    const spans = (await collector.stop()).filter(({ attributes }) => attributes["network.transport"] === "udp");
    assert.deepEqual(first(compareFlows(truth, spans)), []);
    assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, spans.length);
  });
}

Deno.test("a table whose description is missing or damaged is dropped, and says so", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  const instance = uniqueName("i");
  const options = sessionOptions(left, { pinRoot: PIN_ROOT, instance, flowCapacity: 64 });
  const foreign = `${PIN_ROOT}/${instance}/0123456789abcdef`;
  const description = `${foreign}/DESCRIPTION`;
  const damage = async (): Promise<unknown> => {
    const [{ bytes_value }] = [JSON.parse(await run(["bpftool", "-j", "map", "show", "pinned", description]))];
    const value = Array.from({ length: bytes_value }, (_, i) => String((i * 31) % 256));
    return await run(["bpftool", "map", "update", "pinned", description, "key", "0", "0", "0", "0", "value", ...value]);
  };
  const damages: { problem: RegExp; packets: number; spoil: () => Promise<unknown> }[] = [
    { problem: /^$/, packets: 100, spoil: () => Promise.resolve() },
    { problem: /no description/, packets: 0, spoil: () => run(["rm", description]) },
    { problem: /damaged/, packets: 0, spoil: damage },
    { problem: /No such file/, packets: 0, spoil: () => run(["rm", `${foreign}/FLOW_EXPORTED`]) },
  ];
  for (const { problem, packets, spoil } of damages) {
    const old = (await builtLoader().open(options)).session;
    await attachTo(old, left.interfaceName);
    await traffic.blast(left.namespace, {
      to: right.ipv4,
      port: PORT,
      threads: 1,
      packets: 100,
      "source-port": 20_000,
    });
    old.close(true);
    const [own] = (await pins(instance)).filter((path) => path.split("/").length === 7);
    await run(["setpriv", "--pdeathsig", "KILL", "--", "mv", own, foreign]);
    await spoil();
    using opened = await openSession(options);
    const { session, report } = opened;
    assert.equal(report.reused, false);
    assert.deepEqual(report.foreign.map(({ path }) => path), [foreign]);
    assert.match(report.foreign[0].problem, problem);
    await attachTo(session, left.interfaceName);
    assert.equal(await session.prune(), 0, "our programs have taken the places of the old ones");
    assert.equal(await drain(session), packets);
    assert.deepEqual((await pins(instance)).filter((path) => path.startsWith(foreign)), []);
  }
});
