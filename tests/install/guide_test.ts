/** The guide's commands, from the installation to the uninstallation, with traffic all the while. */

import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import type { SpanRecord } from "../harness/otlp_json.ts";
import { temporary } from "../harness/temporary.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import { TwoNodes } from "../kubernetes/two_nodes.ts";
import { CollectorPod, nodeOf } from "./collector_pod.ts";
import * as release from "./release.ts";
import { conversation, conversations, sumsOf } from "./sums.ts";

const { CHART, LABEL, NODE_NAMES } = release;
const TRAFFIC_SECONDS = 75;
const ENDS = ["source", "destination"];
/** What the guide's timeouts would draw out. */
const QUICK = {
  '"60s"': '"5s"',
  '"30s"': '"5s"',
  '"20s"': '"5s"',
  'max_batch_interval = "5s"': 'max_batch_interval = "1s"',
};
/** Of a datagram of the tests with its headers: Ethernet, IPv4, UDP. */
const DATAGRAM_BYTES = 14 + 20 + 8 + 100;

Deno.test("the guide's installation, to its end", async (t) => {
  const traffic = await Traffic.build();
  await using nodes = await TwoNodes.start(release.IMAGES);
  await using temporaryFolder = await temporary("install");
  const folder = temporaryFolder.path;
  const upgrade = (content: string, ...args: string[]) =>
    nodes.tryHelm("upgrade", "mermin", CHART, "--reuse-values", "--set-file", `config.content=${content}`, ...args);

  await t.step("helm install --wait ends well, although there is no collector yet", async () => {
    const content = `config.content=${release.GUIDE_CONFIG}`;
    await nodes.helm("install", "mermin", CHART, "--set-file", content, "--wait", "--timeout", "10m");
    const pods = await release.rolledOut(nodes);
    assert.deepEqual(pods.map(({ node, isReady }) => [node, isReady]), NODE_NAMES.map((node) => [node, true]));
    const listed = await nodes.kubectl("get", "pods", "-l", LABEL);
    assert.equal(listed.match(/^mermin-\w+ +1\/1 +Running +0 /gm)?.length, 2, listed);
  });
  await t.step("the guide's commands to verify it", async () => {
    const [{ name }] = await release.agentPods(nodes);
    for (const page of ["livez", "readyz", "startup"]) assert.match(await release.health(nodes, name, page), /"ok"/);
    const logs = await nodes.kubectl("logs", "-l", LABEL, "--tail=50");
    assert.equal(logs.match(/"event":"started"/g)?.length, 2, logs);
    assert.match(await nodes.kubectl("describe", "clusterrole", "mermin"), /^ +pods +.*\[get list watch\]$/m);
    await tested(nodes);
    await using forwarding = nodes.startKubectl("port-forward", name, "10250:10250");
    await forwarding.waitForLine(/Forwarding from 127.0.0.1:10250/);
    await using reachable = TwoNodes.forward("127.0.0.1", "10250");
    const port = await reachable.waitForLine(/^\d+$/);
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    assert.match(metrics, /^mermin_ebpf_bpf_fs_writable 1$/m);
  });

  await using collector = await CollectorPod.start(nodes);
  const [client] = await nodes.pods("app=client");
  const server = (await nodes.pods("app=web")).find(({ node }) => node === "node-b")!;
  await t.step(
    "spans of both nodes come to a collector by the guide's endpoint, with the names of both ends",
    async () => {
      await nodes.get(`http://${server.ip}:8080/`, 3);
      const isAsked = (span: SpanRecord) => isBetween(span, client.ip, server.ip);
      const spans = await collector.waitForSpans(
        "spans of both nodes",
        (spans) => new Set(spans.filter(isAsked).map(nodeOf)).size === 2,
      );
      for (const { attributes, resource } of spans.filter(isAsked)) {
        // The agent at the server tells it from the server's side.
        const [asks, answers] = attributes["source.address"] === client.ip ? ENDS : ENDS.toReversed();
        const names = [`${asks}.k8s.pod.name`, `${answers}.k8s.pod.name`, `${answers}.k8s.deployment.name`];
        assert.deepEqual(names.map((name) => attributes[name]), ["client", server.name, "web"]);
        const { name } = (await release.agentPods(nodes)).find(({ node }) => node === resource["k8s.node.name"])!;
        assert.deepEqual([resource["k8s.namespace.name"], resource["k8s.pod.name"]], ["default", name]);
        assert.ok(resource["k8s.cluster.uid"] && resource["k8s.node.uid"]);
      }
    },
  );

  const seconds = String(TRAFFIC_SECONDS);
  await using echoes = nodes.startKubectl("exec", "client", "--", "/program", "echo", `${server.ip}:8080`, seconds);
  await using requests = nodes.ask(`http://${server.ip}:8080/`, TRAFFIC_SECONDS, 60);
  const quick = await release.configFile(folder, QUICK);
  await t.step("a changed configuration rolls one node at a time, and back", async () => {
    const before = await release.agentPods(nodes);
    const unavailable = watchUnavailable(nodes);
    const { code, stderr } = await upgrade(quick);
    assert.equal(code, 0, stderr);
    const after = await release.rolledOut(nodes);
    assert.equal(after.some(({ uid }) => before.some((pod) => pod.uid === uid)), false, "every pod is new");
    await nodes.helm("rollback", "mermin");
    const back = await release.rolledOut(nodes);
    assert.equal(back.some(({ uid }) => after.some((pod) => pod.uid === uid)), false, "every pod is new");
    assert.deepEqual(await unavailable.stop(), [0, 1]);
    assert.match(await nodes.helm("history", "mermin"), /Rollback to 1/);
    for (const { name } of back) assert.match(await nodes.kubectl("logs", name), /"event":"taken_over"/);
  });
  await t.step("a broken configuration fails the upgrade with its message and touches no pod", async () => {
    const before = await release.agentPods(nodes);
    const broken = await release.configFile(folder, { 'icmp_timeout = "10s"': 'icmp_timeout = "soon"' });
    const { code, stderr } = await upgrade(broken, "--wait", "--timeout", "2m");
    assert.notEqual(code, 0);
    assert.match(stderr, /pre-upgrade hooks failed/);
    assert.match(stderr, /icmp_timeout.*"soon"/, "Helm shows the log");
    assert.match(await nodes.kubectl("logs", "job/mermin-validate"), /icmp_timeout.*"soon"/);
    assert.deepEqual(await release.agentPods(nodes), before);
    assert.doesNotMatch(await nodes.kubectl("get", "configmap", "mermin", "-o", "yaml"), /"soon"/);
  });
  await t.step("without restartOnConfigChange the pods stay and reload", async () => {
    const first = await release.configFile(folder, {
      ...QUICK,
      'log_level = "info"': 'auto_reload = true\nlog_level = "info"',
    });
    const keep = ["--set", "config.restartOnConfigChange=false", "--wait"];
    assert.equal((await upgrade(first, ...keep)).code, 0);
    const before = await release.rolledOut(nodes);
    const second = await release.configFile(folder, {
      ...QUICK,
      'log_level = "info"': 'auto_reload = true\nlog_level = "debug"',
    });
    assert.equal((await upgrade(second, ...keep)).code, 0);
    // The kubelet looks at a pod's volumes once a minute, and when the pod changes.
    await nodes.kubectl("annotate", "pods", "-l", LABEL, "tests/look=now");
    for (const { name } of before) {
      await until("the reload", async () => /"event":"reloaded"/.test(await nodes.kubectl("logs", name)), 300_000);
    }
    assert.deepEqual(await release.agentPods(nodes), before);
  });

  await Promise.all([echoes.exited, requests.exited]);
  await t.step("helm uninstall leaves nothing on the nodes", async () => {
    await release.uninstall(nodes, traffic);
  });
  await t.step("of all that was sent meanwhile nothing is lost or doubled", async () => {
    const spans = await collector.stop();
    const [port, count] = echoes.stdout.at(-1)!.split(" ").map(Number);
    assert.ok(count > 1000, echoes.output);
    const answered = requests.stdout.filter((line) => line.includes(" saw ")).map((line) => line.split(":").at(-1));
    assert.ok(answered.length > 500 && answered.length === requests.stdout.length, `${answered.length} requests`);
    const perNode = NODE_NAMES.map((node) =>
      conversations(spans, (span) => nodeOf(span) === node && isBetween(span, client.ip, server.ip))
    );
    for (const found of perNode) {
      const key = conversation("udp", `${client.ip}:${port}`, `${server.ip}:8080`);
      const packets = { [client.ip]: count, [server.ip]: count };
      const bytes = { [client.ip]: count * DATAGRAM_BYTES, [server.ip]: count * DATAGRAM_BYTES };
      assert.deepEqual(sumsOf(found.get(key) ?? []), { packets, bytes });
    }
    const [atClient, atServer] = perNode;
    for (const clientPort of answered) {
      const key = conversation("tcp", `${client.ip}:${clientPort}`, `${server.ip}:8080`);
      const sums = sumsOf(atClient.get(key) ?? []);
      assert.deepEqual(sums, sumsOf(atServer.get(key) ?? []), key);
      // SYN, its ACK, the request and FIN, with which the answer may be acknowledged, too.
      assert.ok(sums.packets[client.ip] >= 4, `${key}: ${JSON.stringify(sums)}`);
    }
  });
});

/** `helm test` says that both nodes have an agent that is well; the same program sees when that is not so. */
async function tested(nodes: TwoNodes): Promise<void> {
  const { code, stdout, stderr } = await nodes.tryHelm("test", "mermin");
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Phase: +Succeeded$/m);
  const said = stdout + stderr;
  for (const node of NODE_NAMES) assert.match(said, new RegExp(`${node} +mermin-\\w+ +ready`));
  assert.match(said, /2 of 2 nodes have an agent that is ready/);
  assert.equal(await nodes.kubectl("get", "pods,configmaps", "-l", `${LABEL}-test`, "-o", "name"), "");

  const manifest = parseAllDocuments(await nodes.helm("get", "hooks", "mermin")).map((document) => document.toJS());
  const { spec } = manifest.find(({ kind, metadata }) => kind === "Pod" && metadata.name === "mermin-test");
  const [{ command: [deno], args }] = spec.containers;
  const script = btoa(await Deno.readTextFile(`${CHART}/scripts/agents.ts`));
  const [{ name }] = await release.agentPods(nodes);
  const program = [deno, ...args.slice(0, -6), `data:application/typescript;base64,${script}`];
  const askAgain = (...other: string[]) => nodes.tryKubectl("exec", name, "--", ...program, ...other);
  const [namespace, daemonSet, selector, port] = args.slice(-5);
  const right = await askAgain(namespace, daemonSet, selector, port, "0");
  assert.equal(right.code, 0, right.stdout + right.stderr);
  const wrongPort = await askAgain(namespace, daemonSet, selector, "8079", "0");
  assert.equal(wrongPort.code, 1);
  assert.match(wrongPort.stdout, /node-a +mermin-\w+ +does not answer: .*refused.*\n[^]*0 of 2 nodes have/);
  const nobody = await askAgain(namespace, daemonSet, "app=nobody", port, "0");
  assert.deepEqual([nobody.code, nobody.stdout], [1, "0 of 2 nodes have an agent that is ready\n"]);
  const unknown = await askAgain(namespace, "another", selector, port, "0");
  assert.equal(unknown.code, 1);
  assert.match(unknown.stdout, /the API server: 404 .*daemonsets\.apps \\"another\\" not found/);
}

function isBetween({ attributes: a }: SpanRecord, one: string, other: string): boolean {
  const ends = [a["source.address"], a["destination.address"]];
  return ends.includes(one) && ends.includes(other);
}

/** Asks again and again how many nodes have no Ready agent; `stop` resolves to all numbers that were seen. */
function watchUnavailable(nodes: TwoNodes): { stop(): Promise<number[]> } {
  const seen = new Set<number>();
  let isStopped = false;
  const path = "jsonpath={.status.numberUnavailable}";
  const watching = (async () => {
    while (!isStopped) seen.add(Number(await nodes.kubectl("get", "daemonset", "mermin", "-o", path)));
  })();
  return { stop: async () => (isStopped = true, await watching, [...seen].sort()) };
}
