/** Policies as the NetworkPolicy API says them: cases from its documentation, and what keeps them right and quick. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Kind } from "../model/kinds.ts";
import { Policies, type PolicyEnd } from "./policies.ts";
import { policyOf } from "./policy.ts";
import type { Stored } from "../model/stored.ts";
import { object, type ObjectParts } from "../testing.ts";

// deno-lint-ignore no-explicit-any -- policies are written as in the documentation
type Any = any;

/** Objects of which the policies are told at once, as the store does it. */
class World {
  readonly policies = new Policies();
  nowMs = 100_000;
  readonly #all = new Map<string, Stored>();

  /** It comes, or is now what `parts` say. */
  put(kind: Kind, parts: ObjectParts, createdMs = this.nowMs): Stored {
    const whole = object({ uid: `${kind}-${parts.namespace}-${parts.name}`, ...parts });
    const { uid } = whole.metadata;
    const known = this.#all.get(uid);
    const before = known?.object;
    const stored = known ?? { kind, uid, object: whole, goneMs: Infinity };
    stored.object = whole;
    const policy = kind === "NetworkPolicy" ? policyOf(whole) : undefined;
    this.#all.set(uid, stored);
    this.policies.changed({ stored, before, policy, startMs: known ? this.nowMs : createdMs, nowMs: this.nowMs });
    return stored;
  }
}

const pod = (world: World, name: string, labels: Record<string, string>, more: Partial<ObjectParts> = {}) =>
  world.put("Pod", { name, labels, ...more });
const end = (address: string, port: number, pod?: Stored): PolicyEnd => ({ address, port, pod });
const EVERYBODY = { podSelector: {}, ingress: [{}] };

Deno.test("Policies.allowing() names what selects the pod and lets the peer and the port pass", () => {
  const db = { matchLabels: { role: "db" } };
  const from = (...peers: unknown[]) => [{ from: peers, ports: [{ port: 6379 }] }];
  const ports = (...ports: unknown[]) => [{ ports }];
  const front = { podSelector: { matchLabels: { role: "front" } } };
  const project = { namespaceSelector: { matchLabels: { project: "x" } } };
  const block = { ipBlock: { cidr: "172.17.0.0/16", except: ["172.17.1.0/24"] } };
  const here = end("10.0.0.2", 40_000);
  // Policy, caller, port and protocol at the database, whether ingress is allowed.
  const cases: [title: string, spec: Any, caller: string, port: number, transport: string, allowed: boolean][] = [
    ["no rule allows nothing", { podSelector: db, policyTypes: ["Ingress"] }, "front", 6379, "tcp", false],
    ["an empty rule allows all", { podSelector: {}, ingress: [{}] }, "world", 1, "sctp", true],
    ["an empty rule allows what has no port", { podSelector: {}, ingress: [{}] }, "world", -1, "icmp", true],
    ["another pod is selected", { podSelector: front.podSelector, ingress: [{}] }, "world", 1, "tcp", false],
    ["only egress", { podSelector: db, policyTypes: ["Egress"], ingress: [{}] }, "world", 1, "tcp", false],
    ["a pod of the namespace", { podSelector: db, ingress: from(front) }, "front", 6379, "tcp", true],
    [
      "the protocol is TCP unless it says otherwise",
      { podSelector: db, ingress: from(front) },
      "front",
      6379,
      "udp",
      false,
    ],
    ["another port", { podSelector: db, ingress: from(front) }, "front", 6380, "tcp", false],
    ["such a pod of another namespace", { podSelector: db, ingress: from(front) }, "far", 6379, "tcp", false],
    ["a namespace", { podSelector: db, ingress: from(project) }, "far", 6379, "tcp", true],
    ["both must fit", { podSelector: db, ingress: from({ ...front, ...project }) }, "other", 6379, "tcp", false],
    ["all namespaces", { podSelector: db, ingress: from({ namespaceSelector: {} }) }, "lost", 6379, "tcp", true],
    ["a namespace that is not known", { podSelector: db, ingress: from(project) }, "lost", 6379, "tcp", false],
    [
      "nobody from outside is a pod",
      { podSelector: db, ingress: from({ podSelector: {} }) },
      "world",
      6379,
      "tcp",
      false,
    ],
    [
      "a pod in its node's network is the node",
      { podSelector: db, ingress: from({ podSelector: {} }) },
      "host",
      6379,
      "tcp",
      false,
    ],
    ["a block", { podSelector: db, ingress: from(block) }, "world", 6379, "tcp", true],
    ["except a part of it", { podSelector: db, ingress: from(block) }, "except", 6379, "tcp", false],
    [
      "a range of ports",
      { podSelector: db, ingress: ports({ port: 32_000, endPort: 32_768 }) },
      "world",
      32_768,
      "tcp",
      true,
    ],
    [
      "beyond it",
      { podSelector: db, ingress: ports({ port: 32_000, endPort: 32_768 }) },
      "world",
      32_769,
      "tcp",
      false,
    ],
    ["all ports of a protocol", { podSelector: db, ingress: ports({ protocol: "UDP" }) }, "world", 9, "udp", true],
    ["a port by its name", { podSelector: db, ingress: ports({ port: "redis" }) }, "world", 6379, "tcp", true],
    ["another by that name", { podSelector: db, ingress: ports({ port: "redis" }) }, "world", 6380, "tcp", false],
  ];
  for (const [title, spec, caller, port, transport, allowed] of cases) {
    const world = new World();
    world.put("Namespace", { name: "default", namespace: "" });
    world.put("Namespace", { name: "away", namespace: "", labels: { project: "x" } });
    const containers = [{ name: "c", ports: [{ name: "redis", containerPort: 6379 }] }];
    const own = pod(world, "db", { role: "db" }, { spec: { containers } });
    const callers: Record<string, PolicyEnd> = {
      front: { ...here, pod: pod(world, "front", { role: "front" }) },
      far: { ...here, pod: pod(world, "far", { role: "front" }, { namespace: "away" }) },
      other: { ...here, pod: pod(world, "other", { role: "x" }, { namespace: "away" }) },
      lost: { ...here, pod: pod(world, "lost", {}, { namespace: "unknown" }) },
      host: { ...here, pod: pod(world, "host", {}, { spec: { hostNetwork: true } }) },
      world: end("172.17.2.3", 40_000),
      except: end("172.17.1.3", 40_000),
    };
    world.put("NetworkPolicy", { name: "p", spec });
    const names = world.policies.allowing(
      "ingress",
      end("10.0.0.1", port, own),
      callers[caller],
      transport,
      world.nowMs,
    );
    deepStrictEqual(names, allowed ? ["p"] : [], title);
  }
});

Deno.test("Policies.allowing() judges by policies, namespaces and labels of the time when the flow began", () => {
  const world = new World();
  const own = end("10.0.0.1", 80, pod(world, "a", { app: "a" }));
  const peer = end("10.0.0.2", 40_000, pod(world, "b", { app: "b" }, { namespace: "away" }));
  const from = (selector: unknown) => ({ podSelector: {}, ingress: [{ from: [selector] }] });
  const labels = { podSelector: { matchLabels: { app: "c" } }, namespaceSelector: {} };
  const changes: [title: string, change: () => void, expected: string[]][] = [
    ["nothing", () => {}, []],
    ["a policy comes", () => world.put("NetworkPolicy", { name: "p", spec: from(labels) }), []],
    ["the peer has other labels", () => pod(world, "b", { app: "c" }, { namespace: "away" }), ["p"]],
    [
      "another policy comes",
      () => world.put("NetworkPolicy", { name: "a", spec: from({ namespaceSelector: { matchLabels: { x: "y" } } }) }),
      ["p"],
    ],
    ["the peer's namespace comes", () => world.put("Namespace", { name: "away", labels: { x: "y" } }), ["a", "p"]],
    ["it has other labels", () => world.put("Namespace", { name: "away", labels: { x: "z" } }), ["p"]],
    ["a policy has another rule", () => world.put("NetworkPolicy", { name: "a", spec: EVERYBODY }), ["a", "p"]],
    ["a policy selects another pod", () => {
      world.put("NetworkPolicy", { name: "p", spec: { ...from(labels), podSelector: { matchLabels: { app: "b" } } } });
    }, ["a"]],
    ["the pod has other labels", () => pod(world, "a", { app: "b" }), ["a", "p"]],
    ["a policy goes", () => {
      world.policies.gone(world.put("NetworkPolicy", { name: "p", spec: EVERYBODY }), world.nowMs);
    }, ["a"]],
  ];
  const names = (atMs: number) => world.policies.allowing("ingress", own, peer, "tcp", atMs);
  const expected: [title: string, atMs: number, expected: string[]][] = [];
  for (const [title, change, now] of changes) {
    world.nowMs += 1000;
    change();
    expected.push([`${title}: at once`, world.nowMs, now], [`${title}: later`, world.nowMs + 999, now]);
    // Again and again, so that nothing that is kept is taken for another time.
    for (const [title, atMs, then] of [...expected, ...expected.toReversed()]) {
      deepStrictEqual(names(atMs), then, title);
    }
  }
  world.policies.purge(world.nowMs - 3000);
  for (const [title, atMs, then] of expected.slice(-6)) deepStrictEqual(names(atMs), then, `${title}, after a purge`);
});

Deno.test("Policies.purge() forgets what a pod was called before, also of one that changes again and again", () => {
  const world = new World();
  world.put("NetworkPolicy", { name: "p", spec: { podSelector: { matchLabels: { app: "0" } }, ingress: [{}] } });
  const own = end("10.0.0.1", 80, pod(world, "a", { app: "0" }));
  const beginMs = world.nowMs;
  const names = () => world.policies.allowing("ingress", own, end("192.0.2.1", 4), "tcp", beginMs);
  for (let app = 1; app <= 5; app++) {
    world.nowMs += 1000;
    pod(world, "a", { app: `${app}` });
    world.policies.purge(world.nowMs - 2500);
    deepStrictEqual(names(), app <= 3 ? ["p"] : [], `${app}`);
  }
});

Deno.test("Policies takes a policy to be as old as it says, to the second, and no younger than it was seen", () => {
  const cases: [title: string, createdMs: number, sinceMs: number][] = [
    ["there before the agent", 50_000, 51_000],
    ["created in this second", 100_000, 100_400],
    ["created by a clock that is ahead", 107_000, 100_400],
  ];
  for (const [title, createdMs, sinceMs] of cases) {
    const world = new World();
    const own = end("10.0.0.1", 80, pod(world, "a", {}));
    world.nowMs = 100_400;
    world.put("NetworkPolicy", { name: "p", spec: EVERYBODY }, createdMs);
    const names = (atMs: number) => world.policies.allowing("ingress", own, end("192.0.2.1", 4), "tcp", atMs);
    deepStrictEqual([names(sinceMs - 1), names(sinceMs)], [[], ["p"]], title);
  }
});

Deno.test("Policies.gone() leaves the next policy of that name, whose coming was heard of first", () => {
  const world = new World();
  const own = end("10.0.0.1", 80, pod(world, "a", {}));
  const first = world.put("NetworkPolicy", { name: "p", uid: "1", spec: EVERYBODY });
  world.put("NetworkPolicy", { name: "p", uid: "2", spec: EVERYBODY });
  world.policies.gone(first, world.nowMs);
  deepStrictEqual(world.policies.allowing("ingress", own, end("192.0.2.1", 4), "tcp", world.nowMs), ["p"]);
});

Deno.test("Policies.isEmpty holds again when what was is forgotten", () => {
  const world = new World();
  ok(world.policies.isEmpty);
  const policy = world.put("NetworkPolicy", { name: "p", spec: EVERYBODY });
  world.policies.gone(policy, world.nowMs);
  world.policies.purge(world.nowMs - 1);
  ok(!world.policies.isEmpty, "flows of its time are still to come");
  world.policies.purge(world.nowMs);
  ok(world.policies.isEmpty);
});

/** How often a policy was judged for `ports`, by how often it looked at the labels of the peer. */
function judgements(rule: Any, ports: readonly number[], declared: readonly Any[] = []): number {
  const world = new World();
  const spec = {
    podSelector: {},
    ingress: [{ from: [{ podSelector: { matchLabels: { app: "b" } } }], ports: [rule] }],
  };
  world.put("NetworkPolicy", { name: "p", spec });
  const own = pod(world, "a", {}, { spec: { containers: [{ name: "c", ports: declared }] } });
  const peer = pod(world, "b", {});
  let count = 0;
  Object.defineProperty(peer.object.metadata, "labels", { get: () => (count++, { app: "b" }) });
  for (const port of [...ports, ...ports]) {
    world.policies.allowing("ingress", end("10.0.0.1", port, own), end("10.0.0.2", 4, peer), "tcp", world.nowMs);
  }
  return count;
}

Deno.test("Policies judges once for ports that are alike", () => {
  const all = Array.from({ length: 65_535 }, (_, i) => i + 1);
  const some = [1, 79, 80, 81, 443, 65_535];
  strictEqual(judgements({ port: 1, endPort: 65_535 }, all), 1);
  strictEqual(judgements({}, [-1, 0, ...all]), 1);
  strictEqual(judgements({ port: 80 }, some), 1, "the others do not come as far as the peer");
  strictEqual(judgements({ port: 80, endPort: 443 }, some), 1);
  strictEqual(judgements({ port: "web" }, some, [80, 443].map((containerPort) => ({ name: "web", containerPort }))), 2);
});

Deno.test("Policies.allowing() takes a named port to be that of each pod that is called", () => {
  const world = new World();
  const spec = { podSelector: {}, policyTypes: ["Egress"], egress: [{ ports: [{ port: "web" }] }] };
  world.put("NetworkPolicy", { name: "p", spec });
  const withPort = (name: string, containerPort: number) =>
    pod(world, name, {}, { spec: { containers: [{ name: "c", ports: [{ name: "web", containerPort }] }] } });
  const own = end("10.0.0.1", 40_000, withPort("a", 90));
  for (const [address, port] of [["10.0.0.2", 80], ["10.0.0.3", 8080]] as const) {
    const peer = withPort(address, port);
    const called = [90, 80, 8080].filter((port) =>
      world.policies.allowing("egress", own, end(address, port, peer), "tcp", world.nowMs).length > 0
    );
    deepStrictEqual(called, [port]);
  }
});

Deno.test("Policies gives one list to all whose names are equal", () => {
  const world = new World();
  for (const name of ["p", "q"]) world.put("NetworkPolicy", { name, spec: EVERYBODY });
  const names = (address: string) => {
    const own = end(address, 80, pod(world, address, {}));
    return world.policies.allowing("ingress", own, end("192.0.2.1", 4), "tcp", world.nowMs);
  };
  deepStrictEqual(names("10.0.0.1"), ["p", "q"]);
  strictEqual(names("10.0.0.1"), names("10.0.0.2"));
});
