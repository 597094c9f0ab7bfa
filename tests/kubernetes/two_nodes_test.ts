/**
 * Real pods on two real nodes send real traffic through real services; an agent watches each node, and one Collector takes the
 * spans of both. A third agent has the settings of the guide, word for word.
 */

import assert from "node:assert/strict";
import { Instance, prepareBpffs } from "../harness/agent.ts";
import { Collector } from "../harness/collector.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import { NODES, type Pod, TwoNodes } from "./two_nodes.ts";

const GUIDE = new URL("../config/guide/config.hcl", import.meta.url).pathname;
const KIND = { SERVER: 2, CLIENT: 3 };
const [KINDS, GATEWAY, MATRIX] = ["gateway_kind.yaml", "gateway.yaml", "matrix.yaml"]
  .map((name) => new URL(name, import.meta.url).pathname);
const BALANCER = "192.0.2.43";

type Facts = Readonly<Record<string, string>>;

/** What a span says: of its source, its destination, and the policies. */
interface Said {
  readonly ends: readonly [source: Facts, destination: Facts];
  readonly ingress?: readonly string[];
  readonly egress?: readonly string[];
}

/** One kind of conversation. */
interface Case {
  readonly title: string;
  /** Arguments of kubectl that say where the client's program runs, and its address. */
  readonly from: readonly string[];
  readonly source: string;
  readonly to: readonly [address: string, port: number];
  /** Whom it asks, when the node's network shows another. */
  readonly asks?: readonly [address: string, port: number];
  readonly protocol?: "udp";
  readonly client: Said;
  /** What the server's node says, which has no span of its own when both are on one; its source is the server. */
  readonly server?: Said & { readonly address: string };
}

/** Attributes of one end, without their prefix, the uids, and the slices whose names their controller makes up. */
function factsOf({ attributes }: SpanRecord, end: "source" | "destination"): Facts {
  const own = Object.entries(attributes).filter(([name]) =>
    name.startsWith(`${end}.k8s.`) && !/\.uid$|\.endpoint(s|slice)\./.test(name)
  );
  return Object.fromEntries(own.map(([name, value]) => [name.slice(end.length + 5), String(value)]));
}

/** Spans of the client's side. */
function sent(spans: readonly SpanRecord[], from: string, [address, port]: readonly [string, number]): SpanRecord[] {
  return spans.filter(({ attributes: a, kind }) =>
    kind === KIND.CLIENT && a["source.address"] === from && a["destination.address"] === address &&
    a["destination.port"] === port
  );
}

const inDefault = (name: string, more: Facts): Facts => ({ "namespace.name": "default", "pod.name": name, ...more });

/** Names of the pods' owners, services, containers and nodes. */
const CLIENT = inDefault("client", { "node.name": "node-a" });
const FAR = { "namespace.name": "away", "pod.name": "far", "node.name": "node-a" };
const NODE_A = { "node.name": "node-a" };
const webFacts = (pod: Pod) =>
  inDefault(pod.name, {
    ...{ "replicaset.name": pod.name.replace(/-[^-]*$/, ""), "deployment.name": "web" },
    ...{ "service.name": "web", "container.name": "web", "node.name": pod.node },
  });
const hostFacts = ({ name, node }: Pod) =>
  inDefault(name, { "daemonset.name": "host", "container.name": "host", "node.name": node });
const podFacts = (name: string, container: string, more: Facts = {}) =>
  inDefault(name, { "node.name": "node-b", "container.name": container, ...more });
/** The policy that alone selects the client, and whose network holds whom it calls. */
const POLICY = { "networkpolicy.name": "client-to-pods" };
const CALLER = { ...CLIENT, ...POLICY };

Deno.test("both nodes name both ends of what real pods send, and join it by trace id", async (t) => {
  await prepareBpffs();
  await using nodes = await TwoNodes.start();
  await nodes.kubectl("apply", "-f", KINDS, "-f", MATRIX);
  await nodes.kubectl("wait", "--for=condition=Established", "crd/gateways.gateway.networking.k8s.io");
  await setStatus(nodes, "service/balanced", { loadBalancer: { ingress: [{ ip: BALANCER, ipMode: "VIP" }] } });
  const port = { port: 9200, protocol: "TCP" };
  await setStatus(nodes, "ingress/front", { loadBalancer: { ingress: [{ ip: NODES["node-b"], ports: [port] }] } });
  await nodes.kubectl("apply", "-f", GATEWAY);
  await setStatus(nodes, "gateway/gate", { addresses: [{ type: "IPAddress", value: NODES["node-b"] }] });
  await nodes.kubectl("wait", "--for=condition=Ready", "pod/dual", "pod/pair", "pod/edge", "--timeout=600s");
  await nodes.kubectl("wait", "--for=condition=Ready", "pod/far", "--namespace=away", "--timeout=600s");

  await using collector = await Collector.start();
  await using guided = await Collector.start();
  await using first = new Instance();
  await using second = new Instance();
  await using third = new Instance();
  await using agentA = await nodes.watch("node-a", collector, first);
  await using agentB = await nodes.watch("node-b", collector, second);
  await using agentOfGuide = await nodes.watch("node-b", guided, third, await guideSettings());

  const [[client], [far], [db], [dual], [pair]] = await Promise.all([
    nodes.pods("app=client"),
    nodes.pods("app=far", "away"),
    nodes.pods("app=db"),
    nodes.pods("app=dual"),
    nodes.pods("app=pair"),
  ]);
  const [webs, hosts] = await Promise.all([nodes.pods("app=web"), nodes.pods("app=host")]);
  const on = (pods: Pod[], node: string) => pods.find((pod) => pod.node === node)!;
  const [webA, webB, hostA, hostB] = [on(webs, "node-a"), on(webs, "node-b"), on(hosts, "node-a"), on(hosts, "node-b")];
  const byClient = { from: ["client"], source: client.ip };
  const toFirst = { egress: ["client-to-pods"], ingress: ["first-for-client"] };
  const toSecond = { egress: ["client-to-pods"] };
  const atDual = (container: string, peer: Facts, policies: Omit<Said, "ends"> = {}) => ({
    ...{ address: dual.ip, ends: [podFacts("dual", container), peer] as const, ...policies },
  });
  const throughTo = (container: string, service: Facts = {}): readonly [Facts, Facts] => [
    CALLER,
    podFacts("dual", container, { ...POLICY, ...service }),
  ];
  const pairFacts = (container: string) => podFacts("pair", container, { "service.name": "pair" });
  const cases: Case[] = [
    {
      title: "a pod of a Deployment on the other node",
      ...{ ...byClient, to: [webB.ip, 8080], client: { ends: [CALLER, webFacts(webB)] } },
      server: { address: webB.ip, ends: [webFacts(webB), CALLER] },
    },
    {
      title: "a pod of a Deployment on the same node, seen once",
      ...{ ...byClient, to: [webA.ip, 8080], client: { ends: [CALLER, webFacts(webA)] } },
    },
    {
      title: "the pod of a StatefulSet behind a headless service, which a policy closes",
      ...{ ...byClient, to: [db.ip, 5432] },
      client: {
        ends: [
          CALLER,
          inDefault("db-0", {
            ...{ "statefulset.name": "db", "service.name": "db", "container.name": "db", "node.name": "node-b" },
            "networkpolicy.name": "closed",
          }),
        ],
      },
    },
    {
      title: "a pod of a DaemonSet in its node's network, by its port, which is that of a gateway",
      ...{ ...byClient, to: [NODES["node-b"], 9100] },
      client: { ends: [CALLER, { ...hostFacts(hostB), "gateway.name": "gate" }] },
    },
    {
      title: "another pod in that network, by its port, which is that of an ingress",
      ...{ ...byClient, to: [NODES["node-b"], 9200] },
      client: {
        ends: [
          CALLER,
          inDefault("edge", { "container.name": "edge", "node.name": "node-b", "ingress.name": "front" }),
        ],
      },
    },
    {
      title: "one container of a pod, by its port, and the service that selects the pod",
      ...{ ...byClient, to: [pair.ip, 7001] },
      client: { ends: [CALLER, { ...pairFacts("first"), ...POLICY }], ...toFirst },
      server: { address: pair.ip, ends: [pairFacts("first"), CALLER], ...toFirst },
    },
    {
      title: "the other container, which no policy opens",
      ...{ ...byClient, to: [pair.ip, 7002] },
      client: { ends: [CALLER, { ...pairFacts("second"), ...POLICY }], ...toSecond },
      server: { address: pair.ip, ends: [pairFacts("second"), CALLER], ...toSecond },
    },
    {
      title: "a pod of another namespace as the client",
      ...{ from: ["far", "--namespace=away"], source: far.ip, to: [pair.ip, 7002] },
      client: { ends: [FAR, { ...pairFacts("second"), ...POLICY }], ingress: ["all-for-away"] },
      server: { address: pair.ip, ends: [pairFacts("second"), FAR], ingress: ["all-for-away"] },
    },
    {
      title: "a service of type ClusterIP",
      ...{
        ...byClient,
        to: ["10.96.0.41", 80],
        client: { ends: throughTo("first", { "service.name": "cluster-ip" }), ...toFirst },
      },
      server: atDual("first", CALLER, toFirst),
    },
    {
      title: "a service of type NodePort at its own address",
      ...{
        ...byClient,
        to: ["10.96.0.42", 80],
        client: { ends: throughTo("second", { "service.name": "node-port" }), ...toSecond },
      },
      server: atDual("second", CALLER, toSecond),
    },
    {
      title: "that service at a port of a node, which hides the client from the other node",
      ...{ ...byClient, to: [NODES["node-a"], 30_042], client: { ends: throughTo("second"), ...toSecond } },
      server: atDual("second", NODE_A),
    },
    {
      title: "a service of type LoadBalancer at its balancer's address, where the client is hidden too",
      ...{ ...byClient, to: [BALANCER, 80] },
      client: { ends: throughTo("second", { "service.name": "balanced" }), ...toSecond },
      server: atDual("second", NODE_A),
    },
    {
      title: "a service at an external address, likewise",
      ...{ ...byClient, to: ["192.0.2.44", 80] },
      client: { ends: throughTo("first", { "service.name": "external" }), ...toFirst },
      server: atDual("first", NODE_A),
    },
    {
      title: "a service over UDP; it alone has that port of the pod, and the other node cannot tell who began",
      ...{ ...byClient, to: ["10.96.0.45", 7], protocol: "udp" },
      client: { ends: [CALLER, podFacts("dual", "first", { "service.name": "echoes" })] },
      server: { address: dual.ip, ends: [podFacts("dual", "first", { "service.name": "echoes" }), CALLER] },
    },
    {
      title: "a service, asked from the network of a node",
      ...{ from: [hostA.name], source: NODES["node-a"], to: [pair.ip, 7001], asks: ["10.96.0.46", 80] },
      client: { ends: [NODE_A, { ...pairFacts("first"), ...POLICY }] },
      server: { address: pair.ip, ends: [pairFacts("first"), NODE_A] },
    },
  ];
  for (const { from, to, asks, protocol } of cases) {
    const [address, port] = asks ?? to;
    const program = protocol === "udp"
      ? ["echo", `${address}:${port}`, "1"]
      : ["get", `http://${address}:${port}/`, "2"];
    await nodes.kubectl("exec", ...from, "--", "/program", ...program);
  }
  await nodes.runJob("tick-1", "tick");
  await nodes.kubectl(
    "create",
    "job",
    "once",
    "--image=docker.io/tests/nettool:1",
    "--",
    "/program",
    "get",
    `http://${db.ip}:5432/`,
    "2",
  );
  await nodes.kubectl("wait", "--for=condition=Complete", "job/once", "--timeout=600s");
  const [[tick], [once]] = await Promise.all([nodes.pods("job-name=tick-1"), nodes.pods("job-name=once")]);
  for (const agent of [agentA, agentB, agentOfGuide]) assert.equal(await agent.stop(), 0, agent.process.output);
  const spans = await collector.stop();

  for (const { title, source, to, client, server } of cases) {
    await t.step(title, () => {
      const found = sent(spans, source, to);
      assert.ok(found.length > 0, "no span of the client's node");
      for (const span of found) {
        check(span, client);
        const others = spans.filter(({ traceId, attributes }) =>
          traceId === span.traceId && attributes["source.address"] === server?.address
        );
        assert.equal(others.length, server ? 1 : 0, "spans of the server's node");
        if (server) check(others[0], server);
      }
    });
  }
  for (
    const [title, pod, owners] of [
      ["the pod of a CronJob's job that has ended", tick, { "job.name": "tick-1", "cronjob.name": "tick" }],
      ["the pod of a Job that has ended", once, { "job.name": "once" }],
    ] as const
  ) {
    await t.step(title, () => {
      const found = spans.filter(({ kind, attributes }) =>
        kind === KIND.CLIENT && attributes["source.address"] === pod.ip
      );
      assert.ok(found.length >= 2, `${found.length} spans`);
      for (const span of found) {
        assert.deepEqual(factsOf(span, "source"), inDefault(pod.name, { ...owners, "node.name": pod.node }));
      }
    });
  }
  await t.step("a service of type ExternalName is nowhere", () => {
    assert.equal(spans.filter(({ attributes }) => Object.values(attributes).includes("elsewhere")).length, 0);
  });
  await t.step("the guide's settings name what they ask for", async () => {
    const found = (await guided.stop()).filter(({ kind, attributes }) =>
      kind === KIND.SERVER && attributes["source.address"] === pair.ip && attributes["source.port"] === 7001 &&
      attributes["destination.address"] === client.ip && attributes["network.transport"] === "tcp"
    );
    assert.ok(found.length >= 2, `${found.length} spans`);
    for (const span of found) check(span, { ends: [pairFacts("first"), CLIENT] });
  });
});

function check(span: SpanRecord, { ends, ingress, egress }: Said): void {
  const { attributes } = span;
  assert.deepEqual([factsOf(span, "source"), factsOf(span, "destination")], ends);
  assert.deepEqual(attributes["network.policies.ingress"], ingress);
  assert.deepEqual(attributes["network.policies.egress"], egress);
}

async function setStatus(nodes: TwoNodes, name: string, status: unknown): Promise<void> {
  await nodes.kubectl("patch", name, "--subresource=status", "--type=merge", "--patch", JSON.stringify({ status }));
}

/** What the guide says about Kubernetes. */
async function guideSettings(): Promise<string> {
  const text = await Deno.readTextFile(GUIDE);
  const [start, end] = ['discovery "informer"', "# Flow span configuration"].map((part) => text.indexOf(part));
  assert.ok(start > 0 && end > start);
  return text.slice(start, end);
}
