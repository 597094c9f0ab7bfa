/** What an agent finds on its hooks: its own remains are replaced, whatever they are, and those of others are left alone. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { type AgentSettings, watch } from "../harness/agent_config.ts";
import { counters, Network } from "../harness/netns.ts";
import { attachedPrograms, pins } from "../harness/programs.ts";
import { Traffic } from "../harness/traffic.ts";

const CLSACT = { MERMIN_ATTACH: "clsact" };
const PINGS = 10;

/** Packets that the interface has passed and that the agent's hooks have seen, read while none passes. */
async function readBoth(agent: Agent, network: Network): Promise<{ passed: number; seen: number }> {
  const passed = async () => {
    await network.untilQuiet();
    const { rxPackets, txPackets } = await counters(network.left);
    return rxPackets + txPackets;
  };
  for (;;) {
    const before = await passed();
    const seen = (await agent.metrics()).sum(/^mermin_capture_packets_total\{/);
    // The kernel sends neighbour and group messages when it likes.
    if (await passed() === before) return { passed: before, seen };
  }
}

/** Lets a few packets pass and asserts that the agent's hooks saw each of them once. */
async function assertSeenOnce(agent: Agent, network: Network, traffic: Traffic): Promise<void> {
  const before = await readBoth(agent, network);
  await traffic.ping(network.left.namespace, { to: network.right.ipv4, count: PINGS });
  const after = await readBoth(agent, network);
  assert.ok(after.passed - before.passed >= 2 * PINGS);
  assert.equal(after.seen - before.seen, after.passed - before.passed);
}

const cases: { name: string; first: [number, Record<string, string>]; second: [number, Record<string, string>] }[] = [
  { name: "clsact by TCX", first: [1, CLSACT], second: [1, {}] },
  { name: "TCX by clsact", first: [1, {}], second: [1, CLSACT] },
  { name: "clsact by clsact of another priority", first: [1, CLSACT], second: [7, CLSACT] },
  { name: "clsact by the same", first: [1, CLSACT], second: [1, CLSACT] },
];
for (const { name, first, second } of cases) {
  Deno.test(`programs of a killed agent are replaced: ${name}`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    await using instance = new Instance();
    const start = ([tcPriority, env]: [number, Record<string, string>]) => {
      const settings: AgentSettings = { watch: watch(network.left), onExit: "detach", tcPriority };
      return Agent.start(settings, { instance: instance.name, env });
    };
    {
      await using killed = await start(first);
      await assertSeenOnce(killed, network, traffic);
      await killed.kill();
    }
    const left = await attachedPrograms(traffic, network.left);
    assert.deepEqual([left.ingress.length, left.egress.length], [1, 1]);
    await using agent = await start(second);
    const now = await attachedPrograms(traffic, network.left);
    assert.deepEqual([now.ingress.length, now.egress.length], [1, 1]);
    assert.notDeepEqual(now, left);
    await assertSeenOnce(agent, network, traffic);
    assert.equal(await agent.stop(), 0, agent.process.output);
    assert.deepEqual(await attachedPrograms(traffic, network.left), { ingress: [], egress: [] });
    assert.deepEqual(await pins(instance.name), []);
  });
}

for (const { name, env } of [{ name: "TCX", env: {} }, { name: "clsact", env: CLSACT }]) {
  Deno.test(`two agents on one interface count the same and leave each other alone (${name})`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    await using oneInstance = new Instance();
    await using otherInstance = new Instance();
    const settings: AgentSettings = { watch: watch(network.left), onExit: "detach" };
    await using one = await Agent.start(settings, { instance: oneInstance.name, env });
    {
      await using killed = await Agent.start(settings, { instance: otherInstance.name, env });
      await killed.kill();
    }
    await using other = await Agent.start(settings, { instance: otherInstance.name, env });
    const both = await attachedPrograms(traffic, network.left);
    assert.deepEqual([both.ingress.length, both.egress.length], [2, 2]);
    await assertSeenOnce(one, network, traffic);
    await assertSeenOnce(other, network, traffic);
    assert.equal(await other.stop(), 0, other.process.output);
    const rest = await attachedPrograms(traffic, network.left);
    assert.deepEqual([rest.ingress.length, rest.egress.length], [1, 1]);
    await assertSeenOnce(one, network, traffic);
  });
}
