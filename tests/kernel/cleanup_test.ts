/** `mermin cleanup` removes everything of ours, and nothing of others. */

import assert from "node:assert/strict";
import { Agent, agentPath, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Network } from "../harness/netns.ts";
import { attachedPrograms, pins } from "../harness/programs.ts";
import { tryRun } from "../harness/process.ts";
import { Traffic } from "../harness/traffic.ts";

function cleanup(instance: string): ReturnType<typeof tryRun> {
  return tryRun([agentPath(), "cleanup", "--instance", instance]);
}

for (const mode of ["tcx", "clsact"] as const) {
  Deno.test(`cleanup removes what a killed agent left at ${mode} hooks, and nothing of another agent`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const { left } = network;
    const env = { MERMIN_ATTACH: mode };
    await using otherInstance = new Instance();
    await using other = await Agent.start({ watch: watch(left) }, { instance: otherInstance.name, env });
    const others = await attachedPrograms(traffic, left);
    await using instance = new Instance();
    await using agent = await Agent.start({ watch: watch(left), onExit: "keep" }, { instance: instance.name, env });
    await agent.kill();
    const { ingress, egress } = await attachedPrograms(traffic, left);
    assert.deepEqual([ingress.length, egress.length], [2, 2], "the killed agent left its programs");

    const { code, stdout } = await cleanup(instance.name);
    assert.equal(code, 0);
    assert.equal(stdout, `removed ${instance.name} (2 attachments)\n`);
    assert.deepEqual(await attachedPrograms(traffic, left), others);
    assert.deepEqual(await pins(instance.name), []);
    assert.equal((await cleanup(instance.name)).stdout, "nothing of ours was left (0 attachments)\n");
    assert.equal(await other.stop(), 0, other.process.output);
  });
}

Deno.test("cleanup leaves an agent alone that runs", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left } = network;
  await using instance = new Instance();
  await using agent = await Agent.start({ watch: watch(left) }, { instance: instance.name });
  const { code, stderr } = await cleanup(instance.name);
  assert.equal(code, 1);
  assert.match(stderr, /another agent runs as instance .*; stop it first/);
  const { ingress, egress } = await attachedPrograms(traffic, left);
  assert.deepEqual([ingress.length, egress.length], [1, 1]);
  assert.equal(await agent.stop(), 0, agent.process.output);
});
