/** An agent that stops or dies under traffic is followed by another that goes on exactly where it was. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { checkSpans, first } from "../harness/checks.ts";
import { Collector } from "../harness/collector.ts";
import { compareFlows } from "../harness/flows.ts";
import { Network } from "../harness/netns.ts";
import { attachedPrograms, livingPrograms, pins } from "../harness/programs.ts";
import { finishBlast, Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import { sentFlows, untilSent } from "./sent.ts";

const PORT = 7000;

const cases: { name: string; end: (agent: Agent) => Promise<void>; maxRecordInterval: string }[] = [
  {
    name: "SIGTERM",
    end: async (agent) => assert.equal(await agent.stop(), 0, agent.process.output),
    maxRecordInterval: "1s",
  },
  // What a killed agent had not sent yet is gone with it, so nothing is due before.
  { name: "SIGKILL", end: (agent) => agent.kill(), maxRecordInterval: "60s" },
];
for (const { name, end, maxRecordInterval } of cases) {
  Deno.test(`after ${name} the next agent continues from the pinned maps: nothing lost, nothing doubled`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const { left, right } = network;
    await using collector = await Collector.start();
    const otlp = { endpoint: collector.grpcEndpoint, protocol: "grpc" as const };
    const settings = {
      watch: watch(left),
      otlp,
      onExit: "keep" as const,
      span: { max_record_interval: maxRecordInterval },
    };
    await using _sink = await traffic.sink(right.namespace, PORT, 1);
    const flows = { to: right.ipv4, port: PORT, threads: 2, burst: 8, "pause-us": 500 };
    const seen: number[] = [];
    let instanceName = "";
    {
      await using instance = new Instance();
      instanceName = instance.name;
      await using before = await Agent.start(settings, { instance: instance.name });
      await using blast = traffic.startBlast(left.namespace, { ...flows, flows: 100, "source-port": 20_000 });
      await untilSent(left, 20_000);
      const hooks = await attachedPrograms(traffic, left);
      await end(before);
      // Nobody is there now, and the programs go on counting: old flows and new ones.
      assert.deepEqual(await attachedPrograms(traffic, left), hooks);
      const alone = { ...flows, flows: 50, "source-port": 30_000, packets: 2000 };
      const duringGap = await traffic.blast(left.namespace, alone);
      await using after = await Agent.start(settings, { instance: instance.name });
      const taken = await attachedPrograms(traffic, left);
      assert.deepEqual([taken.ingress.length, taken.egress.length], [1, 1]);
      seen.push(...hooks.ingress, ...hooks.egress, ...taken.ingress, ...taken.egress);
      await untilSent(left, 20_000);
      const blasted = await finishBlast(blast);
      await network.untilQuiet();
      assert.equal(await after.stop(), 0, after.process.output);
      const truth = await sentFlows(left, right, PORT, [...blasted.ports, ...duringGap.ports]);
      const spans = (await collector.stop()).filter(({ attributes }) => attributes["network.transport"] === "udp");
      assert.deepEqual(first(compareFlows(truth, spans)), []);
      assert.deepEqual(first(checkSpans(spans, left.interfaceName)), []);
      assert.ok((await pins(instance.name)).length > 0, "on_exit = keep left no pins");
    }
    assert.deepEqual(await pins(instanceName), []);
    assert.deepEqual(await attachedPrograms(traffic, left), { ingress: [], egress: [] });
    await until("the kernel to free our programs", async () => (await livingPrograms(seen)).length === 0);
  });
}
