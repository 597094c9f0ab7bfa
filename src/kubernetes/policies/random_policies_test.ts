/** Random clusters and flows before a slow reading of policies as they are written. */

import { deepStrictEqual, ok } from "node:assert/strict";
import type { Kind } from "../model/kinds.ts";
import { Policies, type PolicyEnd } from "./policies.ts";
import { policyOf, type PolicyType } from "./policy.ts";
import type { Stored } from "../model/stored.ts";
import { generator, object, type ObjectParts } from "../testing.ts";

// deno-lint-ignore no-explicit-any -- the judge reads objects as they are written
type Any = any;

const ROUNDS = 500;
const STEPS = 12;
const LOOKUPS = 12;
/** What is older is forgotten. */
const RETAIN_MS = 4000;
const NAMESPACES = ["one", "one", "two"];
const ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.9", "fd00::1"];
const PORTS = [-1, 53, 80, 443];
/** Beside the edges of what policies name. */
const ALL_PORTS = [...PORTS, 0, 52, 54, 79, 81, 100, 101, 65_535];
const TRANSPORTS = ["tcp", "udp", "sctp", "icmp"];
type Random = (below: number) => number;
const oneOf = <T>(random: Random, list: readonly T[]): T => list[random(list.length)];
const some = <T>(random: Random, most: number, make: () => T): T[] => Array.from({ length: random(most + 1) }, make);
const maybe = <T>(random: Random, name: string, make: () => T) => random(2) === 0 ? {} : { [name]: make() };

function randomLabels(random: Random): Record<string, string> {
  return { ...maybe(random, "a", () => oneOf(random, ["1", "2"])), ...maybe(random, "b", () => "1") };
}

function randomSelector(random: Random): Any {
  const expression = () => {
    const operator = oneOf(random, ["In", "NotIn", "Exists", "DoesNotExist"]);
    return { key: oneOf(random, ["a", "b"]), operator, ...(operator.endsWith("In") ? { values: ["1"] } : {}) };
  };
  return {
    ...maybe(random, "matchLabels", () => randomLabels(random)),
    ...(random(3) === 0 ? { matchExpressions: [expression()] } : {}),
  };
}

function randomPeer(random: Random): Any {
  const cidr = oneOf(random, ["10.0.0.0/8", "10.0.0.0/24", "0.0.0.0/0", "fd00::/8"]);
  if (random(3) === 0) return { ipBlock: { cidr, ...maybe(random, "except", () => ["10.0.0.2/31"]) } };
  const selectors = {
    ...maybe(random, "podSelector", () => randomSelector(random)),
    ...maybe(random, "namespaceSelector", () => randomSelector(random)),
  };
  return Object.keys(selectors).length === 0 ? { podSelector: {} } : selectors;
}

function randomRules(random: Random, peers: "from" | "to"): Any {
  const port = () => ({
    ...maybe(random, "protocol", () => oneOf(random, ["TCP", "UDP", "SCTP"])),
    ...oneOf(random, [{}, { port: 80 }, { port: 53, endPort: 100 }, { port: 1, endPort: 65_535 }, { port: "web" }]),
  });
  return some(random, 2, () => ({
    ...maybe(random, peers, () => some(random, 2, () => randomPeer(random))),
    ...maybe(random, "ports", () => some(random, 2, port)),
  }));
}

function randomPolicy(random: Random): Any {
  return {
    podSelector: randomSelector(random),
    ...maybe(random, "policyTypes", () => oneOf(random, [["Ingress"], ["Egress"], ["Ingress", "Egress"]])),
    ...maybe(random, "ingress", () => randomRules(random, "from")),
    ...maybe(random, "egress", () => randomRules(random, "to")),
  };
}

/** Reads one policy as it is written, every time, with what else there was `at` that time. */
function judge(
  { metadata, spec }: Any,
  type: PolicyType,
  own: PolicyEnd,
  peer: PolicyEnd,
  transport: string,
  at: (key: string) => Any,
): boolean {
  const matches = (selector: Any, labels: Any = {}) =>
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values }: Any) => {
      if (operator === "In") return key in labels && values.includes(labels[key]);
      if (operator === "NotIn") return !(key in labels) || !values.includes(labels[key]);
      return (operator === "Exists") === (key in labels);
    });
  const podOf = ({ pod }: PolicyEnd) => pod && at(pod.uid);
  const self = podOf(own);
  if (!self || self.spec.hostNetwork) return false;
  if (self.metadata.namespace !== metadata.namespace || !matches(spec.podSelector, self.metadata.labels)) return false;
  const isEgress = spec.policyTypes ? spec.policyTypes.includes("Egress") : (spec.egress ?? []).length > 0;
  const isIngress = spec.policyTypes ? spec.policyTypes.includes("Ingress") : true;
  if (type === "egress" ? !isEgress : !isIngress) return false;
  const called = type === "egress" ? peer : own;
  return (spec[type] ?? []).some((rule: Any) => {
    const peers = rule.from ?? rule.to ?? [];
    const isPeer = peers.length === 0 || peers.some(({ ipBlock, podSelector, namespaceSelector }: Any) => {
      if (ipBlock) {
        const inside = (cidr: string) => inCidr(peer.address, cidr);
        return inside(ipBlock.cidr) && !(ipBlock.except ?? []).some(inside);
      }
      const other = podOf(peer);
      if (!other || other.spec.hostNetwork) return false;
      const { namespace, labels } = other.metadata;
      const known = at(`Namespace ${namespace}`);
      const isThere = namespaceSelector === undefined
        ? namespace === metadata.namespace
        : known
        ? matches(namespaceSelector, known.metadata.labels)
        : matches(namespaceSelector, {}) && !namespaceSelector.matchExpressions;
      return isThere && (podSelector === undefined || matches(podSelector, labels));
    });
    const isPort = (rule.ports ?? []).length === 0 || rule.ports.some(({ port, endPort, protocol = "TCP" }: Any) => {
      if (protocol.toLowerCase() !== transport) return false;
      if (port === undefined) return true;
      if (typeof port === "number") return called.port >= port && called.port <= (endPort ?? port);
      const target = podOf(called);
      return target && !target.spec.hostNetwork &&
        target.spec.containers[0].ports.some((declared: Any) =>
          declared.name === port && declared.containerPort === called.port &&
          (declared.protocol ?? "TCP").toLowerCase() === transport
        );
    });
    return isPeer && isPort;
  });
}

/** Whether the address, written in bits, begins as the network does. */
function inCidr(address: string, cidr: string): boolean {
  const [network, bits] = cidr.split("/");
  if (address.includes(":") || network.includes(":")) return address.startsWith("fd") && network.startsWith("fd");
  const binary = (ip: string) => ip.split(".").map((part) => Number(part).toString(2).padStart(8, "0")).join("");
  return binary(address).slice(0, Number(bits)) === binary(network).slice(0, Number(bits));
}

/** Who is told of changes, and all that was ever said, from which the judge takes the last that was said of a time. */
class World {
  readonly policies = new Policies();
  nowMs = 1_000_000;
  readonly #said: { readonly key: string; readonly value: Any; readonly sinceMs: number }[] = [];

  put(kind: Kind, parts: ObjectParts, was?: Stored): Stored {
    const made = object({ ...parts, uid: was?.uid ?? `${kind}-${this.#said.length}` });
    const { uid } = made.metadata;
    const stored = was ?? { kind, uid, object: made, goneMs: Infinity };
    const before = was?.object;
    stored.object = made;
    const policy = kind === "NetworkPolicy" ? policyOf(made) : undefined;
    this.policies.changed({ stored, before, policy, startMs: this.nowMs, nowMs: this.nowMs });
    // A pod was always there: who has an address at what time is told elsewhere.
    this.#say(stored, made, kind === "Pod" && !was ? 0 : this.nowMs);
    return stored;
  }

  remove(stored: Stored): void {
    this.policies.gone(stored, this.nowMs);
    if (this.at(keyOf(stored), this.nowMs)?.metadata.uid === stored.uid) this.#say(stored, undefined, this.nowMs);
  }

  at(key: string, timeMs: number): Any {
    return this.#said.findLast((one) => one.key === key && one.sinceMs <= timeMs)?.value;
  }

  policiesAt(timeMs: number): Any[] {
    const keys = new Set(this.#said.map(({ key }) => key).filter((key) => key.startsWith("NetworkPolicy ")));
    return [...keys].map((key) => this.at(key, timeMs)).filter((policy) => policy !== undefined);
  }

  #say(stored: Stored, value: Any, sinceMs: number): void {
    this.#said.push({ key: keyOf(stored), value, sinceMs });
  }
}

function keyOf({ kind, uid, object: { metadata: { name, namespace } } }: Stored): string {
  return kind === "Pod" ? uid : kind === "Namespace" ? `${kind} ${name}` : `${kind} ${namespace} ${name}`;
}

/** Ends, most of them pods. */
function randomEnds(world: World, random: Random): PolicyEnd[] {
  return Array.from({ length: 4 }, (_, i) => {
    const ports = [{ name: oneOf(random, ["web", "dns"]), containerPort: oneOf(random, PORTS.slice(1)) }];
    const spec = { hostNetwork: random(6) === 0, containers: [{ name: "c", ports }] };
    const parts = { name: `${i}`, namespace: oneOf(random, NAMESPACES), labels: randomLabels(random), spec };
    const pod = random(5) === 0 ? undefined : world.put("Pod", parts);
    return { address: oneOf(random, ADDRESSES), port: oneOf(random, PORTS), pod };
  });
}

/** Something comes, changes or goes. */
function change(world: World, living: Stored[], ends: readonly PolicyEnd[], random: Random): void {
  const policy = () => ({
    name: `policy-${random(3)}`,
    namespace: oneOf(random, NAMESPACES),
    spec: randomPolicy(random),
  });
  const one = living.length === 0 ? undefined : living[random(living.length)];
  const { pod } = oneOf(random, ends);
  const labels = randomLabels(random);
  if (random(4) === 0 && pod) {
    const { name, namespace } = pod.object.metadata;
    world.put("Pod", { name, namespace, labels, spec: pod.object.spec }, pod);
  } else if (random(2) === 0 && one) {
    const { name, namespace } = one.object.metadata;
    const spec = one.kind === "NetworkPolicy" ? randomPolicy(random) : undefined;
    const isReplaced = random(3) === 0;
    // Of what was deleted and made again, the second may be heard of first.
    const isNextFirst = isReplaced && random(2) === 0;
    const isGone = isReplaced || random(2) === 0;
    if (isGone && !isNextFirst) world.remove(one);
    const next = !isGone || isReplaced
      ? world.put(one.kind, { name, namespace, labels, spec }, isGone ? undefined : one)
      : undefined;
    if (isNextFirst) world.remove(one);
    living.splice(living.indexOf(one), 1, ...(next ? [next] : []));
  } else {
    const parts = random(3) === 0 ? { name: oneOf(random, NAMESPACES), namespace: "", labels } : policy();
    const kind = "spec" in parts ? "NetworkPolicy" : "Namespace";
    const { name, namespace } = parts;
    const isThere = living.some((other) =>
      other.kind === kind && other.object.metadata.name === name && other.object.metadata.namespace === namespace
    );
    if (!isThere) living.push(world.put(kind, parts));
  }
}

Deno.test("Policies.allowing() agrees with the judge on random clusters, at any time that is remembered", () => {
  let [allowed, judged, earlier] = [0, 0, 0];
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = generator(seed);
    const world = new World();
    const living: Stored[] = [];
    const ends = randomEnds(world, random);
    for (let i = 0; i < 6; i++) change(world, living, ends, random);
    for (let step = 0; step < STEPS; step++) {
      world.nowMs += random(1000);
      change(world, living, ends, random);
      if (random(3) === 0) world.policies.purge(world.nowMs - RETAIN_MS);
      for (let lookup = 0; lookup < LOOKUPS; lookup++) {
        // Other ports of the same ends are to meet what is kept of them.
        const [own, peer] = [0, 1].map(() => ({ ...oneOf(random, ends), port: oneOf(random, ALL_PORTS) }));
        const transport = oneOf(random, TRANSPORTS);
        const startMs = random(2) === 0 ? world.nowMs : world.nowMs + 500 - random(RETAIN_MS + 500);
        for (const type of ["ingress", "egress"] as const) {
          const judgeAt = (timeMs: number) =>
            world.policiesAt(timeMs)
              .filter((policy) => judge(policy, type, own, peer, transport, (key) => world.at(key, timeMs)))
              .map(({ metadata }) => metadata.name).sort();
          const expected = judgeAt(startMs);
          const text = `seed ${seed}, step ${step}: ${JSON.stringify({ type, own, peer, transport, startMs })}`;
          deepStrictEqual(world.policies.allowing(type, own, peer, transport, startMs), expected, text);
          if (expected.join() !== judgeAt(world.nowMs).join()) earlier++;
          allowed += expected.length;
          judged++;
        }
      }
    }
  }
  const text = `of ${judged} ${allowed} allowed, ${earlier} not as now: the clusters tell nothing`;
  ok(allowed > judged / 20 && allowed < judged && earlier > judged / 50, text);
});
