/** Other ways to run it: fewer rights, the node's network, tainted nodes, other images, values of an older chart. */

import assert from "node:assert/strict";
import { temporary } from "../harness/temporary.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import type { Any } from "../kubernetes/api_server.ts";
import { TwoNodes } from "../kubernetes/two_nodes.ts";
import { run } from "../harness/process.ts";
import { CollectorPod, nodeOf } from "./collector_pod.ts";
import * as release from "./release.ts";

const { CHART, NODE_NAMES } = release;
const PRIVATE_IMAGE = "registry.example/team/mermin";
/** Within the test's patience, and also what stays on one node. */
const EVERYWHERE = {
  'interfaces = ["eth*", "ens*"]': 'interfaces = ["eth*", "veth*"]',
  'tcp_fin_timeout = "5s"': 'tcp_fin_timeout = "1s"',
  'max_batch_interval = "5s"': 'max_batch_interval = "1s"',
};
const OTHER_PORTS = { "port = 8080": "port = 18080", "port = 10250": "port = 19090" };
/** What the first chart did not have. */
const NEW_VALUES = ["security", "ports", "dashboard", "networkPolicy", "podMonitor", "hostNetwork", "extraObjects"];

Deno.test("profiles and values, each installed and seen to work", async (t) => {
  const traffic = await Traffic.build();
  await using nodes = await TwoNodes.start(release.IMAGES);
  await using collector = await CollectorPod.start(nodes);
  await using temporaryFolder = await temporary("install");
  const folder = temporaryFolder.path;
  const [client] = await nodes.pods("app=client");
  const webs = await nodes.pods("app=web");
  const everywhere = await release.configFile(folder, EVERYWHERE);
  const otherPorts = await release.configFile(folder, { ...EVERYWHERE, ...OTHER_PORTS });

  const upgrade = async (...args: string[]) => {
    const content = args.includes("hostNetwork=true") ? otherPorts : everywhere;
    await nodes.helm("upgrade", "--install", "mermin", CHART, "--set-file", `config.content=${content}`, ...args);
    return await release.rolledOut(nodes);
  };
  /** Real pods talk, on one node and between both, and every agent names both ends. */
  const seesFlows = async (agents: release.AgentPod[]) => {
    const before = (await collector.spans()).length;
    for (const { ip } of webs) await nodes.get(`http://${ip}:8080/`, 2);
    const reporting = await collector.waitForSpans("spans by every agent", (spans) => {
      const named = spans.slice(before).filter(({ attributes: a, resource }) =>
        [a["source.k8s.pod.name"], a["destination.k8s.pod.name"]].includes("client") &&
        [a["source.k8s.deployment.name"], a["destination.k8s.deployment.name"]].includes("web") &&
        agents.some(({ name }) => name === resource["k8s.pod.name"])
      );
      const seen = new Set(named.map(nodeOf));
      return agents.every(({ node }) => seen.has(node));
    });
    assert.ok(reporting.length > before);
    assert.ok(client.ip);
  };
  const pod = async ({ name }: release.AgentPod): Promise<Any> =>
    JSON.parse(await nodes.kubectl("get", "pod", name, "-o", "json"));

  await t.step("five capabilities and a read-only root suffice", async () => {
    const agents = await upgrade("--set", "security.profile=restricted");
    assert.equal((await pod(agents[0])).spec.containers[0].securityContext.privileged, false);
    assert.deepEqual(await capabilitiesOf(nodes), ["net_admin", "sys_ptrace", "sys_admin", "perfmon", "bpf"]);
    await seesFlows(agents);
  });
  await t.step("three capabilities suffice in the node's network", async () => {
    const ports = "ports.api=18080,ports.metrics=19090";
    const agents = await upgrade("--set", "security.profile=restricted", "--set", "hostNetwork=true", "--set", ports);
    assert.deepEqual(await capabilitiesOf(nodes), ["net_admin", "perfmon", "bpf"]);
    assert.match(await release.health(nodes, agents[0].name, "readyz", 18080), /"ok"/);
    await seesFlows(agents);
  });
  await t.step("the guide's values, with an image of another name", async () => {
    await release.tagImage(nodes, `${PRIVATE_IMAGE}:latest`);
    const secret = ["docker-registry", "my-registry-secret", "--docker-server=registry.example"];
    await nodes.kubectl("create", "secret", ...secret, "--docker-username=me", "--docker-password=secret");
    const agents = await upgrade(
      ...["-f", "tests/chart/guide/values.yaml", "--set", `image.repository=${PRIVATE_IMAGE}`],
      ...["--set", "imagePullSecrets[0].name=my-registry-secret,priorityClassName=system-node-critical"],
    );
    const { spec, status } = await pod(agents[0]);
    assert.equal(spec.containers[0].image, `${PRIVATE_IMAGE}:latest`);
    assert.deepEqual(spec.imagePullSecrets, [{ name: "my-registry-secret" }]);
    assert.deepEqual([spec.priorityClassName, spec.hostPID, status.qosClass], [
      "system-node-critical",
      true,
      "Burstable",
    ]);
    await seesFlows(agents);
  });
  await t.step("a namespace with a quota takes it, with the guide's values", async () => {
    const hard = "--hard=requests.cpu=10,requests.memory=10Gi,limits.cpu=10,limits.memory=10Gi";
    await nodes.kubectl("create", "quota", "all-must-say", hard);
    await upgrade("-f", "tests/chart/guide/low_traffic.yaml");
    assert.match(await nodes.helm("test", "mermin"), /^Phase: +Succeeded$/m);
    await nodes.kubectl("delete", "quota", "all-must-say");
  });
  await t.step("a validation that cannot start fails the upgrade with its own reason and touches no pod", async () => {
    const before = await release.agentPods(nodes);
    const values = "image.repository=registry.example/none,hooks.deadlineSeconds=10";
    const { code, stderr } = await nodes.tryHelm("upgrade", "mermin", CHART, "--reuse-values", "--set", values);
    assert.notEqual(code, 0);
    assert.match(stderr, /job mermin-validate failed: DeadlineExceeded/);
    assert.deepEqual(await release.agentPods(nodes), before);
  });
  await t.step("a tainted node has an agent, unless it is not tolerated", async () => {
    await nodes.kubectl("taint", "node", "node-b", "dedicated=database:NoSchedule");
    assert.deepEqual((await upgrade()).map(({ node }) => node), NODE_NAMES);
    const values = `${folder}/values.yaml`;
    await Deno.writeTextFile(values, "tolerations: []\n");
    const scheduled = async () => (await release.agentPods(nodes)).map(({ node }) => node);
    await upgrade("-f", values);
    await until("one pod to be left", async () => (await scheduled()).length === 1);
    assert.deepEqual(await scheduled(), ["node-a"]);
    await nodes.kubectl("taint", "node", "node-b", "dedicated:NoSchedule-");
  });
  await t.step("a node selector, with the guide's affinity", async () => {
    await nodes.kubectl("label", "node", "node-b", "node-role.kubernetes.io/worker=true");
    const selector = "nodeSelector.node-role\\.kubernetes\\.io/worker=true";
    const agents = await upgrade("--set-string", selector, "-f", "tests/chart/guide/affinity.yaml");
    await until("the other pod to end", async () => (await release.agentPods(nodes)).length === 1);
    assert.equal((await release.agentPods(nodes))[0].node, "node-b");
    assert.ok(agents.length > 0);
  });
  await t.step("values of an older chart", async () => {
    await nodes.helm("uninstall", "mermin", "--wait");
    const old = `${folder}/old`;
    await olderChart(old);
    await nodes.helm("install", "mermin", old, "--set-file", `config.content=${everywhere}`);
    await release.rolledOut(nodes);
    await nodes.helm("upgrade", "mermin", CHART, "--reuse-values");
    const agents = await release.rolledOut(nodes);
    assert.equal(agents.length, 2);
    await seesFlows(agents);
  });
  await t.step("helm uninstall leaves nothing on the nodes, with five capabilities too", async () => {
    await upgrade("--set", "security.profile=restricted");
    await release.uninstall(nodes, traffic);
  });
});

/** Capabilities of the agent on node-a, by the kernel's word. */
async function capabilitiesOf(nodes: TwoNodes): Promise<string[]> {
  const script = "for p in $(pgrep -x deno); do grep CapEff /proc/$p/status; done | cut -f2";
  const mask = BigInt(`0x${(await nodes.on("node-a", "sh", "-c", script)).trim()}`);
  const names = { 12: "net_admin", 19: "sys_ptrace", 21: "sys_admin", 38: "perfmon", 39: "bpf" } as Record<
    number,
    string
  >;
  return Array.from({ length: 64 }, (_, bit) => bit)
    .filter((bit) => (mask >> BigInt(bit)) & 1n)
    .map((bit) => names[bit] ?? `bit ${bit}`);
}

/** The chart without what came later. */
async function olderChart(folder: string): Promise<void> {
  await run(["cp", "-r", CHART, folder]);
  const kept: string[] = [];
  let isDropped = false;
  for (const line of (await Deno.readTextFile(`${folder}/values.yaml`)).split("\n")) {
    const name = /^(\w+):/.exec(line)?.[1];
    if (name) isDropped = NEW_VALUES.includes(name);
    if (!isDropped) kept.push(line);
  }
  await Deno.writeTextFile(`${folder}/values.yaml`, kept.join("\n"));
  const chart = (await Deno.readTextFile(`${folder}/Chart.yaml`)).replace(/^version: .*/m, "version: 0.0.1");
  await Deno.writeTextFile(`${folder}/Chart.yaml`, chart);
}
