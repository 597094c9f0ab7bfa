import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { ABSENT, type FlowSpan } from "../../flow/span.ts";
import { type Decorator, TIMED } from "./decorator.ts";
import { cluster, flowAt } from "../testing.ts";

const NOW = 1_000_000;
const CLIENT = "10.244.0.5";
const WEB = "10.244.1.7";
const SERVICE = "10.96.0.10";
const NODE = "10.99.0.2";
const span = (change: Partial<FlowSpan>) => flowAt(NOW + 1, change);
const status = (podIP: string) => ({ podIP, podIPs: [{ ip: podIP }], hostIP: "10.1.0.1" });
const selecting = (role: string) => ({ podSelector: { matchLabels: { role } } });

Deno.test("Decorator.decorate() names the policies of who calls and who is called, whichever end reports it", () => {
  const { decorator, add } = cluster();
  add("Pod", { name: "client", labels: { role: "client" }, status: status("10.0.0.1") });
  add("Pod", { name: "server", labels: { role: "server" }, status: status("10.0.0.2") });
  add("NetworkPolicy", {
    name: "in",
    spec: { ...selecting("server"), ingress: [{ from: [selecting("client")], ports: [{ port: 8080 }] }] },
  });
  add("NetworkPolicy", {
    name: "out",
    spec: { ...selecting("client"), policyTypes: ["Egress"], egress: [{ to: [selecting("server")] }] },
  });
  const forward = { sourceAddress: "10.0.0.1", sourcePort: 40_000, destinationAddress: "10.0.0.2" };
  const back = { sourceAddress: "10.0.0.2", sourcePort: 8080, destinationAddress: "10.0.0.1", destinationPort: 40_000 };
  const service = { destinationAddress: "10.96.0.1", destinationPort: 80 };
  const behind = { destinationNatAddress: "10.0.0.2", destinationNatPort: 8080 };
  const cases: [title: string, change: Partial<FlowSpan>, isAllowed: boolean][] = [
    ["from the client's node", { ...forward, direction: "forward" }, true],
    ["from the server's node", { ...back, direction: "reverse" }, true],
    ["nobody knows who calls", { ...forward, direction: "unknown" }, false],
    ["through a service, by the pod behind it", { ...service, ...behind }, true],
    ["through a service, with nobody known behind it", service, false],
  ];
  for (const [title, change, isAllowed] of cases) {
    const one = span(change);
    decorator.decorate(one);
    deepStrictEqual(one.egressPolicies, isAllowed ? ["out"] : [], title);
    deepStrictEqual(one.ingressPolicies, isAllowed ? ["in"] : [], title);
  }
});

Deno.test("Decorator.decorate() judges by the policies and labels of the time when the window began", () => {
  const { decorator, clock, add, remove } = cluster();
  const client = { name: "client", labels: { role: "client" }, status: status("10.0.0.1") };
  add("Pod", client);
  add("Pod", { name: "server", status: status("10.0.0.2") });
  const made = (name: string, atMs: number, spec: unknown) => ({
    name,
    metadata: { creationTimestamp: new Date(NOW + atMs).toISOString() },
    spec,
  });
  const policy = made("in", 1000, { podSelector: {}, ingress: [{ from: [selecting("client")] }] });
  const other = made("out", 2000, { ...selecting("other"), policyTypes: ["Egress"], egress: [{}] });
  const steps: [atMs: number, change: () => void, ingress: string[], egress: string[]][] = [
    [0, () => {}, [], []],
    [1000, () => add("NetworkPolicy", policy), ["in"], []],
    [2000, () => add("NetworkPolicy", other), ["in"], []],
    [3000, () => add("Pod", { ...client, labels: { role: "other" } }), [], ["out"]],
    [4000, () => remove("NetworkPolicy", other), [], []],
  ];
  for (const [atMs, change] of steps) {
    clock.nowMs = NOW + atMs;
    change();
  }
  for (const [atMs, , ingress, egress] of steps) {
    const one = flowAt(NOW + atMs + 500, {});
    decorator.decorate(one);
    deepStrictEqual([one.ingressPolicies, one.egressPolicies], [ingress, egress], `${atMs}`);
  }
});

Deno.test("Decorator.decorate() names policies also when nothing is said of pods", () => {
  const { decorator, add } = cluster([]);
  add("Pod", { name: "server", status: status("10.0.0.2") });
  add("NetworkPolicy", { name: "in", spec: { podSelector: {}, ingress: [{}] } });
  const one = span({});
  decorator.decorate(one);
  deepStrictEqual(one.ingressPolicies, ["in"]);
  deepStrictEqual([...one.destinationFacts!.attributes], []);
  deepStrictEqual(decorator.stats, { ok: 1, undecorated: 0, error: 0 });
});

Deno.test("Decorator.decorate() lets a span go on without names when it fails, and counts it", () => {
  const { decorator, describers, errors, add } = cluster();
  add("Pod", { name: "client", status: status("10.0.0.1") });
  const one = span({});
  decorator.decorate(one);
  decorator.decorate(span({ sourceAddress: "10.9.9.9" }));
  add("Pod", { name: "server", status: status("10.0.0.2") });
  describers.destination.describe = () => {
    throw new RangeError("a fault");
  };
  decorator.decorate(one);
  strictEqual(one.sourceFacts, undefined);
  deepStrictEqual(errors.map(String), ["RangeError: a fault"]);
  deepStrictEqual(decorator.stats, { ok: 1, undecorated: 1, error: 1 });
});

Deno.test("Decorator.decorate() times the first span, and then one in so many", () => {
  const { decorator, seconds } = cluster();
  for (let i = 0; i < TIMED + 1; i++) decorator.decorate(span({}));
  strictEqual(seconds.count, 2);
});

/** A client, a server behind a service, their node, and a service that only selects the same pods. */
function serviceCluster(): Decorator {
  const { decorator, add } = cluster();
  const pod = (name: string, podIP: string, containerPort: number) =>
    add("Pod", {
      name,
      labels: { app: name },
      spec: { containers: [{ name: `${name}-main`, ports: [{ containerPort }] }] },
      status: { ...status(podIP), hostIP: NODE },
    });
  pod("client", CLIENT, 9999);
  pod("web", WEB, 8080);
  // Without a selector: its endpoints are made by somebody else.
  add("Service", { name: "chosen", spec: { clusterIP: SERVICE, clusterIPs: [SERVICE], ports: [{ port: 80 }] } });
  add("Service", { name: "selecting", spec: { selector: { app: "web" } } });
  add("Node", { name: "node-a", status: { addresses: [{ type: "InternalIP", address: NODE }] } });
  add("NetworkPolicy", {
    name: "from-client",
    spec: { ingress: [{ from: [{ ipBlock: { cidr: "192.0.2.0/24" } }], ports: [{ port: 8080, protocol: "TCP" }] }] },
  });
  return decorator;
}

/** `address:port`, or an address alone. */
type Place = string;

/** What is said of both ends of a flow, of which each may have another name behind or before a translation. */
function said(
  all: Decorator,
  [source, sourceNat]: [Place, Place?],
  [destination, destinationNat]: [Place, Place?],
): string[] {
  const split = (place: Place): [string, number] => [place.split(":")[0], Number(place.split(":")[1] ?? ABSENT)];
  const one = span({});
  [one.sourceAddress, one.sourcePort] = split(source);
  [one.destinationAddress, one.destinationPort] = split(destination);
  if (sourceNat) [one.sourceNatAddress, one.sourceNatPort] = split(sourceNat);
  if (destinationNat) [one.destinationNatAddress, one.destinationNatPort] = split(destinationNat);
  all.decorate(one);
  return [one.sourceFacts, one.destinationFacts].map((facts) =>
    [...facts?.attributes ?? []].filter(([name]) => /\.k8s\.(?!namespace).*\.name$/.test(name))
      .map(([name, value]) => `${name.split(".").at(-2)}=${value}`).sort().join(" ")
  );
}

const cases: { name: string; source: [Place, Place?]; destination: [Place, Place?]; expected: string[] }[] = [
  {
    name: "a service that nobody translates",
    source: [`${CLIENT}:40000`],
    destination: [`${SERVICE}:80`],
    expected: ["pod=client", "service=chosen"],
  },
  {
    name: "a pod without a service",
    source: [`${CLIENT}:40000`],
    destination: [`${WEB}:8080`],
    expected: ["pod=client", "container=web-main pod=web service=selecting"],
  },
  {
    name: "a service and the pod behind it, with the container of the pod's port",
    source: [`${CLIENT}:40000`],
    destination: [`${SERVICE}:80`, `${WEB}:8080`],
    expected: ["pod=client", "container=web-main pod=web service=chosen"],
  },
  {
    name: "the same behind the translation",
    source: [`${CLIENT}:40000`],
    destination: [`${WEB}:8080`, `${SERVICE}:80`],
    expected: ["pod=client", "container=web-main pod=web service=chosen"],
  },
  {
    name: "a client that is hidden behind its node",
    source: [`${NODE}:60000`, `${CLIENT}:40000`],
    destination: [`${WEB}:8080`, `${SERVICE}:80`],
    expected: ["node=node-a pod=client", "container=web-main pod=web service=chosen"],
  },
  {
    name: "a policy for the port of the pod, met at a port of the node",
    source: ["192.0.2.9:40000"],
    destination: [`${NODE}:30080`, `${WEB}:8080`],
    expected: ["networkpolicy=from-client", "container=web-main node=node-a pod=web service=selecting"],
  },
];
for (const { name, source, destination, expected } of cases) {
  Deno.test(`Decorator names ${name}`, () => deepStrictEqual(said(serviceCluster(), source, destination), expected));
}

Deno.test("Decorator says the same again, whatever it has said in between", () => {
  const all = serviceCluster();
  for (let i = 0; i < 100; i++) {
    const { name, source, destination, expected } = cases[(i * 5 + (i >> 2)) % cases.length];
    deepStrictEqual(said(all, source, destination), expected, `${i}: ${name}`);
  }
});
