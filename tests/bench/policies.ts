/**
 * What policies cost, nanoseconds of CPU for a flow with both ends known: `deno run --allow-sys tests/bench/policies.ts`.
 *
 * The second figure is of a cluster where a policy was changed before every thousand flows, which all began before that.
 */

import process from "node:process";
import { RequestEncoder } from "../../src/export/otlp/encoder.ts";
import { ProtobufWriter } from "../../src/export/otlp/protobuf.ts";
import type { FlowSpan } from "../../src/flow/span.ts";
import { cluster, flowAt, generator } from "../../src/kubernetes/testing.ts";
import { formatTable } from "./table.ts";

const NAMESPACES = 10;
const PODS = 400;
/** On the agent's node. */
const OWN_PODS = 40;
const FLOWS = 10_000;
/** A run is as short as the figures of the processor's time allow: it is to fit between two works of others. */
const RUN_FLOWS = 1000;
const ROUNDS = 60;
const APPS = 5;
const PORT = 8080;

type Cluster = ReturnType<typeof cluster>;

/** Pods of ten namespaces, with policies that each select a fifth of the pods of one. */
function clusterWith(policies: number): Cluster {
  const all = cluster();
  const appOf = (i: number) => `app-${Math.floor(i / NAMESPACES) % APPS}`;
  for (let i = 0; i < NAMESPACES; i++) {
    all.add("Namespace", { name: `n${i}`, namespace: "", labels: { team: `team-${i % 3}` } });
  }
  for (let i = 0; i < PODS; i++) {
    all.add("Pod", {
      name: `pod-${i}`,
      namespace: `n${i % NAMESPACES}`,
      labels: { app: appOf(i) },
      spec: { containers: [{ name: "main", ports: [{ name: "web", containerPort: PORT }] }] },
      status: { podIP: addressOf(i), podIPs: [{ ip: addressOf(i) }], hostIP: "10.1.0.1" },
    });
  }
  for (let i = 0; i < policies; i++) {
    const pods = { podSelector: { matchLabels: { app: appOf(i) } } };
    const peers = [{ podSelector: {}, namespaceSelector: { matchLabels: { team: `team-${i % 3}` } } }, pods];
    all.add("NetworkPolicy", {
      name: `policy-${i}`,
      namespace: `n${i % NAMESPACES}`,
      spec: {
        ...pods,
        policyTypes: ["Ingress", "Egress"],
        ingress: [{ from: peers, ports: [{ port: "web" }, { port: 9000, endPort: 9100 }] }],
        egress: [{ to: [...peers, { ipBlock: { cidr: "10.0.0.0/8" } }] }],
      },
    });
  }
  return all;
}

/** From the pods of a node to all pods. */
function flowsOf({ clock }: Cluster): FlowSpan[] {
  const random = generator(1);
  return Array.from({ length: FLOWS }, (_, i) =>
    flowAt(clock.nowMs, {
      ...{ sourceAddress: addressOf(random(OWN_PODS)), sourcePort: 32_768 + i % 28_000 },
      ...{ destinationAddress: addressOf(random(PODS)), destinationPort: PORT },
    }));
}

function addressOf(pod: number): string {
  return `10.0.${pod >> 8}.${pod & 255}`;
}

/** For one flow, in the fastest of some runs: in others the processor's caches were shared with somebody. */
function measure(spans: readonly FlowSpan[], begin: () => void, work: (span: FlowSpan) => void): string {
  let fastestNs = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    for (let at = 0; at < spans.length; at += RUN_FLOWS) {
      const run = spans.slice(at, at + RUN_FLOWS);
      const before = process.cpuUsage();
      begin();
      for (const span of run) work(span);
      const { user, system } = process.cpuUsage(before);
      fastestNs = Math.min(fastestNs, (user + system) * 1000 / RUN_FLOWS);
    }
  }
  return fastestNs.toFixed(0);
}

const encoder = new RequestEncoder({}, { name: "mermin", version: "0" });
const writer = new ProtobufWriter(1 << 24);
console.log(formatTable([0, 20, 200].map((policies) => {
  const all = clusterWith(policies);
  const spans = flowsOf(all);
  const name = (span: FlowSpan) => all.decorator.decorate(span);
  const named = measure(spans, () => {}, name);
  const written = measure(spans, () => encoder.begin(writer), (span) => encoder.add(writer, span));
  const changing = measure(spans, () => {
    if (policies === 0) return;
    const port = ++all.clock.nowMs % 1000;
    const spec = { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ ports: [{ port }] }] };
    all.add("NetworkPolicy", { name: "changing", namespace: "n0", spec });
  }, name);
  return { policies: `${policies}`, "name it": named, "while one changes": changing, "write its span": written };
})));
