/**
 * What made-up pods take of V8's heap, with their share of endpoints, slices, owners and services, and what flows of all of them
 * add: `tools/env deno run --v8-flags=--expose-gc tests/bench/memory.ts [--pods N]`.
 */

import { parseArgs } from "node:util";
import { FlowSpan } from "../../src/flow/span.ts";
import { compactHeap } from "../../src/kubernetes/compact_heap.ts";
import { Decorator } from "../../src/kubernetes/describe/decorator.ts";
import { defaultAttributes } from "../../src/kubernetes/defaults.ts";
import { Describer } from "../../src/kubernetes/describe/describe.ts";
import type { Kind } from "../../src/kubernetes/model/kinds.ts";
import type { KubernetesObject } from "../../src/kubernetes/model/object.ts";
import { planOf } from "../../src/kubernetes/plan.ts";
import { Policies } from "../../src/kubernetes/policies/policies.ts";
import { Store } from "../../src/kubernetes/index/store.ts";
import type { Direction } from "../../src/kubernetes/model/stored.ts";
import { createHistograms } from "../../src/metrics/histograms.ts";

const PODS_PER_WORKLOAD = 25;
const PODS_PER_NODE = 100;
const PORT = 8080;
const MADE_AT = "2026-11-01T00:00:00Z";

/** Objects as an API server sends them: as text, of which nothing is shared. */
type Put = (kind: Kind, object: unknown) => void;

function metadata(name: string, more = {}) {
  return { name, namespace: "default", uid: crypto.randomUUID(), creationTimestamp: MADE_AT, ...more };
}

function ownerOf(kind: string, { name, uid }: { name: string; uid: string }) {
  return [{ apiVersion: "apps/v1", kind, name, uid, controller: true }];
}

/** Deployments of 25 pods on nodes of 100, each with a Service, Endpoints and a slice. */
function makeCluster(pods: number, put: Put): void {
  for (let node = 0; node * PODS_PER_NODE < pods; node++) {
    const status = { addresses: [{ type: "InternalIP", address: nodeAddress(node) }] };
    put("Node", { metadata: metadata(`node-${node}`), status });
  }
  for (let workload = 0; workload * PODS_PER_WORKLOAD < pods; workload++) {
    const name = `app-${workload}`;
    const deployment = metadata(name);
    const replicaSet = metadata(`${name}-5d9c7b6f4`, { ownerReferences: ownerOf("Deployment", deployment) });
    put("Deployment", { metadata: deployment });
    put("ReplicaSet", { metadata: replicaSet });
    const clusterIP = `10.96.${workload >> 8}.${workload & 255}`;
    const ports = [{ protocol: "TCP", port: 80, targetPort: PORT }];
    put("Service", {
      metadata: metadata(name),
      spec: { clusterIP, clusterIPs: [clusterIP], selector: { app: name }, ports },
    });
    const own: string[] = [];
    for (let i = 0; i < PODS_PER_WORKLOAD; i++) {
      const place = workload * PODS_PER_WORKLOAD + i;
      own.push(podAddress(place));
      const podName = `${replicaSet.name}-${i.toString().padStart(5, "x")}`;
      put("Pod", pod(podName, name, own[i], place, ownerOf("ReplicaSet", replicaSet)));
    }
    const port = { port: PORT, protocol: "TCP" };
    put("Endpoint", { metadata: metadata(name), subsets: [{ addresses: own.map((ip) => ({ ip })), ports: [port] }] });
    const endpoints = own.map((ip) => ({ addresses: [ip], conditions: { ready: true } }));
    put("EndpointSlice", { metadata: metadata(`${name}-x7k2p`), addressType: "IPv4", endpoints, ports: [port] });
  }
}

function pod(name: string, app: string, podIP: string, place: number, ownerReferences: unknown) {
  const node = Math.floor(place / PODS_PER_NODE);
  return {
    metadata: metadata(name, { labels: { app, "pod-template-hash": "5d9c7b6f4" }, ownerReferences }),
    spec: {
      nodeName: `node-${node}`,
      containers: [{
        name: "main",
        image: "example.org/team/app:1.2",
        ports: [{ containerPort: PORT, protocol: "TCP" }],
      }],
    },
    status: {
      // Each in a second of its own, which is the worst for what pods could share.
      startTime: new Date(Date.parse(MADE_AT) + place * 1000).toISOString(),
      ...{ phase: "Running", podIP, podIPs: [{ ip: podIP }], hostIP: nodeAddress(node) },
    },
  };
}

function podAddress(place: number): string {
  return `10.${128 + (place >> 16)}.${place >> 8 & 255}.${place & 255}`;
}

function nodeAddress(node: number): string {
  return `172.16.${node >> 8}.${node & 255}`;
}

function usedBytes(): number {
  compactHeap();
  return Deno.memoryUsage().heapUsed;
}

const { values } = parseArgs({ options: { pods: { type: "string", default: "50000" } } });
const relation = { selectorMatchLabelsField: "spec.selector", selectorMatchExpressionsField: "" };
const informer = {
  ...{ kubeconfigPath: "", informersSyncTimeoutMs: 1000, selectors: [] },
  ownerRelations: { maxDepth: 5, includeKinds: [], excludeKinds: [] },
  selectorRelations: [{ kind: "Service" as const, to: "Pod" as const, ...relation }],
};
const plan = planOf(informer, {
  source: { k8s: defaultAttributes("source") },
  destination: { k8s: defaultAttributes("destination") },
});
const policies = new Policies();
const store = new Store({ ...plan, policies, retainMs: 60_000 });
const describer = (direction: Direction) =>
  new Describer({
    ...{ objects: store, extractor: plan.extractors[direction], owners: informer.ownerRelations, direction },
    ...{ relations: plan.relations, cluster: () => ({ uid: crypto.randomUUID(), name: "" }) },
  });
const decorator = new Decorator({
  ...{ index: plan.index, policies, seconds: createHistograms().decoratorOut },
  describers: { source: describer("source"), destination: describer("destination") },
  onError: (error) => {
    throw error;
  },
});
const put: Put = (kind, object) => store.put(kind, JSON.parse(JSON.stringify(object)) as KubernetesObject);
makeCluster(PODS_PER_WORKLOAD, put);
const emptyBytes = usedBytes();
const pods = Number(values.pods);
makeCluster(pods, put);
const storedBytes = usedBytes();
const span = Object.assign(new FlowSpan(), { transport: "tcp", sourcePort: PORT, destinationPort: PORT });
const nowNs = BigInt(Date.now()) * 1_000_000n;
for (const at of [span.startNs, span.endNs]) {
  Object.assign(at, { hi: Number(nowNs >> 32n), lo: Number(nowNs & 0xffff_ffffn) });
}
for (let place = 0; place < pods; place++) {
  span.sourceAddress = span.destinationAddress = podAddress(place);
  decorator.decorate(span);
}
const saidBytes = usedBytes();
const perPod = (bytes: number) => Math.round(bytes / pods);
console.log(`${pods} pods: ${perPod(storedBytes - emptyBytes)} bytes of heap each`);
console.log(
  `${decorator.stats.ok} of them met by flows, at both ends: ${perPod(saidBytes - storedBytes)} bytes more each`,
);
