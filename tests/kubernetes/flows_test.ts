/** Flows between real network namespaces get the names of the pods whose addresses they have, from a real API server. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Collector } from "../harness/collector.ts";
import { Network } from "../harness/netns.ts";
import { Traffic } from "../harness/traffic.ts";
import { sleep, until } from "../harness/wait.ts";
import { ApiServer } from "./api_server.ts";
import { createDeployment, createPod, PODS, SERVICES } from "./objects.ts";

const PORT = 8080;
/** A pod gets its addresses after it was made. */
const CHANGED_PODS = /^mermin_k8s_watcher_events_total\{event="modified",kind="Pod"\}/;

Deno.test("spans at a collector carry both ends' pods, owners, services and containers", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using server = await ApiServer.start();
  await using network = await Network.create();
  const { left, right } = network;
  const web = await createDeployment(server, "web");
  const client = await createPod(server, { name: "client", ips: [left.ipv4, left.ipv6] });
  const pod = { name: "web-1-a", ips: [right.ipv4, right.ipv6], owner: web, labels: { app: "web" }, port: PORT };
  const webPod = await createPod(server, pod);
  await server.create(SERVICES, {
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
  });
  await using collector = await Collector.start();
  await using instance = new Instance();
  await using _web = await traffic.serve(right.namespace, PORT);
  const extra = `discovery "informer" "k8s" { kubeconfig_path = "${await server.kubeconfig()}" }`;
  const otlp = { endpoint: collector.grpcEndpoint, protocol: "grpc" as const };
  await using agent = await Agent.start({ watch: watch(left), otlp, extra }, { instance: instance.name });

  for (const family of ["ipv4", "ipv6"] as const) {
    await traffic.converse(left.namespace, {
      to: right[family],
      port: PORT,
      protocol: "tcp",
      flows: 3,
      rounds: 2,
      "source-port": 20_000,
    });
  }
  const metrics = await agent.metrics();
  assert.ok(metrics.sum(/^mermin_k8s_addresses$/) >= 4);
  assert.equal(await agent.stop(), 0, agent.process.output);
  const spans = (await collector.stop()).filter(({ attributes }) => attributes["network.transport"] === "tcp");
  assert.equal(spans.length, 6);
  const { uid } = await server.request("GET", "/api/v1/namespaces/kube-system").then(({ metadata }) => metadata);
  for (const { attributes } of spans) {
    const facts = Object.fromEntries(Object.entries(attributes).filter(([name]) => /k8s|container/.test(name)));
    const uids = Object.keys(facts).filter((name) => name.endsWith(".uid"));
    assert.equal(uids.length, 7, uids.join());
    for (const name of uids) if (!/pod|cluster/.test(name)) delete facts[name];
    assert.deepEqual(facts, {
      "source.k8s.pod.name": "client",
      "source.k8s.pod.uid": client.metadata.uid,
      "source.k8s.namespace.name": "default",
      "source.k8s.node.name": "node-a",
      "source.k8s.cluster.uid": uid,
      "destination.k8s.pod.name": "web-1-a",
      "destination.k8s.pod.uid": webPod.metadata.uid,
      "destination.k8s.namespace.name": "default",
      "destination.k8s.node.name": "node-a",
      "destination.k8s.replicaset.name": "web-1",
      "destination.k8s.deployment.name": "web",
      "destination.k8s.service.name": "web",
      "destination.k8s.container.name": "main",
      "destination.container.name": "main",
      "destination.container.image.name": "example.org/team/app",
      "destination.k8s.cluster.uid": uid,
    });
  }
});

Deno.test("a pod that takes over an address gets its own flows and none of the dead pod's", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using server = await ApiServer.start();
  await using network = await Network.create();
  const { left, right } = network;
  await using collector = await Collector.start();
  await using instance = new Instance();
  await using _server = await traffic.serve(right.namespace, PORT);
  const extra = `discovery "informer" "k8s" { kubeconfig_path = "${await server.kubeconfig()}" }`;
  const otlp = { endpoint: collector.grpcEndpoint, protocol: "grpc" as const };
  // Spans of all pods are made after the last of them has come.
  const metricsExtra = "debug_metrics_enabled = true";
  const settings = { watch: watch(left), otlp, extra, pollInterval: "1h", onExit: "detach" as const, metricsExtra };
  await createPod(server, { name: "pod-0", ips: [right.ipv4] });
  await using agent = await Agent.start(settings, { instance: instance.name });
  const ports = new Map<number, string>();
  for (let round = 0; round < 4; round++) {
    if (round > 0) {
      await server.delete(`${PODS}/pod-${round - 1}`);
      // What the API has are whole seconds.
      await sleep(2100);
      const changes = async () => (await agent.metrics()).sum(CHANGED_PODS);
      const before = await changes();
      await createPod(server, { name: `pod-${round}`, ips: [right.ipv4] });
      // It gets its address by a change.
      await until("the agent to know the pod's address", async () => await changes() > before);
    }
    const sourcePort = 20_000 + round;
    ports.set(sourcePort, `pod-${round}`);
    const options = {
      to: right.ipv4,
      port: PORT,
      protocol: "tcp" as const,
      flows: 1,
      rounds: 1,
      "source-port": sourcePort,
    };
    await traffic.converse(left.namespace, options);
  }
  assert.equal(await agent.stop(), 0, agent.process.output);
  const spans = (await collector.stop()).filter(({ attributes }) => attributes["network.transport"] === "tcp");
  const named = spans.map(({ attributes }) => [attributes["source.port"], attributes["destination.k8s.pod.name"]]);
  assert.deepEqual(new Map(named as [number, string][]), ports);
});

Deno.test("the resource says who the agent is in the cluster", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using server = await ApiServer.start();
  await using network = await Network.create();
  const { left, right } = network;
  const node = await server.create("/api/v1/nodes", {
    metadata: { name: "node-a", annotations: { "cluster.x-k8s.io/cluster-name": "tests" } },
  });
  await createPod(server, { name: "mermin-x", ips: [left.ipv4] });
  await using collector = await Collector.start();
  await using instance = new Instance();
  await using _server = await traffic.serve(right.namespace, PORT);
  const extra = `discovery "informer" "k8s" { kubeconfig_path = "${await server.kubeconfig()}" }`;
  const otlp = { endpoint: collector.grpcEndpoint, protocol: "grpc" as const };
  const env = { POD_NAME: "mermin-x", POD_NAMESPACE: "default" };
  await using agent = await Agent.start({ watch: watch(left), otlp, extra }, { instance: instance.name, env });
  const options = { to: right.ipv4, port: PORT, protocol: "tcp", flows: 1, rounds: 1, "source-port": 20_000 };
  await traffic.converse(left.namespace, options);
  assert.equal(await agent.stop(), 0, agent.process.output);
  const spans = await collector.stop();
  assert.deepEqual(spans.map(({ name }) => name), ["flow_ipv4_tcp"]);
  const [{ resource, attributes }] = spans;
  assert.equal(attributes["source.k8s.cluster.name"], "tests");
  const { metadata: { uid } } = await server.request("GET", "/api/v1/namespaces/kube-system");
  assert.deepEqual(Object.fromEntries(Object.entries(resource).filter(([name]) => name.startsWith("k8s."))), {
    "k8s.cluster.uid": uid,
    "k8s.cluster.name": "tests",
    "k8s.node.name": "node-a",
    "k8s.node.uid": node.metadata.uid,
    "k8s.namespace.name": "default",
    "k8s.pod.name": "mermin-x",
  });
});
