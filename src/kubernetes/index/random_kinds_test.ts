/** Random objects of every kind that has addresses, judged one by one by a plain reading of what each kind means. */

import { deepStrictEqual, ok } from "node:assert/strict";
import { AddressIndex } from "./address_index.ts";
import { addressKey } from "../model/address_key.ts";
import { defaultAttributes } from "../defaults.ts";
import type { EndQuery } from "./entry.ts";
import type { Kind } from "../model/kinds.ts";
import { compileRules, joinRules } from "./rules.ts";
import { type Direction, SIDES, type Stored } from "../model/stored.ts";
import { generator, object } from "../testing.ts";

// deno-lint-ignore no-explicit-any -- the judge reads objects as they are written
type Any = any;
type Random = (below: number) => number;

const ROUNDS = 500;
const LOOKUPS = 30;
const IPS = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.1", "fd00::1"];
const PORTS = [53, 80, 443];
const CIDRS = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/24", "fd00::/8"];
const NEVER = Infinity;

const oneOf = <T>(random: Random, list: readonly T[]): T => list[random(list.length)];
const some = <T>(random: Random, most: number, make: () => T): T[] => Array.from({ length: random(most + 1) }, make);
const ip = (random: Random) => ({ ip: oneOf(random, IPS) });
const portWith = (random: Random, ports: readonly unknown[] = PORTS) => ({
  port: oneOf(random, ports),
  ...oneOf(random, [{}, { protocol: "TCP" }, { protocol: "UDP" }]),
});

/** How an object of each kind is made, and whether it is at an end of a flow. */
const KINDS: Partial<Record<Kind, { make: (random: Random) => Any; isAt: (it: Any, query: EndQuery) => boolean }>> = {
  Node: {
    make: (random) => ({ status: { addresses: some(random, 2, () => ({ address: oneOf(random, IPS) })) } }),
    isAt: ({ status }, { address }) => status.addresses.some((one: Any) => one.address === address),
  },
  Service: {
    make: (random) => ({
      spec: {
        clusterIP: oneOf(random, ["None", ...IPS]),
        externalIPs: some(random, 2, () => oneOf(random, IPS)),
        ports: some(random, 2, () => portWith(random)),
        ipFamilies: some(random, 1, () => oneOf(random, ["IPv4", "IPv6"])),
      },
      status: { loadBalancer: { ingress: some(random, 1, () => ip(random)) } },
    }),
    isAt: ({ spec, status }, query) =>
      [spec.clusterIP, ...spec.externalIPs, ...status.loadBalancer.ingress.map((one: Any) => one.ip)]
        .includes(query.address) &&
      (spec.ipFamilies.length === 0 || spec.ipFamilies[0].toLowerCase() === query.networkType) &&
      hasPort(spec.ports, query),
  },
  Endpoint: {
    make: (random) => ({
      subsets: some(random, 2, () => ({
        addresses: some(random, 2, () => ip(random)),
        notReadyAddresses: some(random, 1, () => ip(random)),
        ports: some(random, 2, () => portWith(random)),
      })),
    }),
    isAt: ({ subsets }, query) =>
      subsets.some(({ addresses, notReadyAddresses, ports }: Any) =>
        [...addresses, ...notReadyAddresses].some((one) => one.ip === query.address) && hasPort(ports, query)
      ),
  },
  EndpointSlice: {
    make: (random) => ({
      endpoints: some(random, 3, () => ({ addresses: [oneOf(random, IPS)] })),
      ports: some(random, 2, () => portWith(random, [...PORTS, null])),
    }),
    isAt: ({ endpoints, ports }, query) =>
      endpoints.some(({ addresses }: Any) => addresses[0] === query.address) && hasPort(ports, query),
  },
  Ingress: {
    make: (random) => ({
      status: {
        loadBalancer: {
          ingress: some(random, 2, () => ({ ...ip(random), ports: some(random, 2, () => portWith(random)) })),
        },
      },
    }),
    isAt: ({ status }, query) =>
      status.loadBalancer.ingress.some((one: Any) => one.ip === query.address && hasPort(one.ports, query)),
  },
  Gateway: {
    make: (random) => {
      const addresses = () => some(random, 1, () => ({ value: oneOf(random, [...IPS, "gate.example.org"]) }));
      const listener = () => ({ port: oneOf(random, PORTS), protocol: oneOf(random, ["HTTP", "TLS", "TCP", "UDP"]) });
      return {
        spec: { addresses: addresses(), listeners: some(random, 2, listener) },
        status: { addresses: addresses() },
      };
    },
    isAt: ({ spec, status }, query) =>
      [...spec.addresses, ...status.addresses].some(({ value }) => value === query.address) &&
      hasPort(
        spec.listeners.map(({ port, protocol }: Any) => ({ port, protocol: protocol === "UDP" ? "UDP" : "TCP" })),
        query,
      ),
  },
  NetworkPolicy: {
    make: (random) => {
      const peer = () => ({
        ipBlock: { cidr: oneOf(random, CIDRS), ...oneOf(random, [{}, { except: ["10.0.0.2/32"] }]) },
      });
      const port = () =>
        oneOf(random, [portWith(random), { port: 53, endPort: 100 }, { protocol: "UDP" }, { port: "web" }]);
      const rules = (peers: "from" | "to") =>
        some(random, 2, () => ({ [peers]: some(random, 2, peer), ports: some(random, 2, port) }));
      return { spec: { ingress: rules("from"), egress: rules("to") } };
    },
    isAt: () => false,
  },
};

/** An empty list, and an end without ports, mean any. */
function hasPort(ports: readonly Any[], { port, transport }: { port: number; transport: string }): boolean {
  return ports.length === 0 || port < 0 || ports.some((one) => {
    if ((one.protocol ?? "TCP").toLowerCase() !== transport) return false;
    if (one.port === undefined || one.port === null) return true;
    return typeof one.port === "number" && one.port <= port && port <= (one.endPort ?? one.port);
  });
}

/** Of the networks that hold the address the longest prefix counts. */
function policyAt(policies: readonly Stored[], query: EndQuery): string | undefined {
  const isSource = query.side === SIDES.source;
  const called = { port: isSource ? query.peerPort : query.port, transport: query.transport };
  const bits = (stored: Stored): number[] => {
    const { ingress, egress } = (stored.object as Any).spec;
    return (isSource ? ingress : egress).flatMap(({ from, to, ports }: Any) =>
      (from ?? to).map(({ ipBlock: { cidr, except = [] } }: Any) =>
        holds(cidr, query.address) && !except.some((one: string) => holds(one, query.address)) && hasPort(ports, called)
          ? Number(cidr.split("/")[1])
          : -1
      )
    );
  };
  const best = Math.max(-1, ...policies.flatMap(bits));
  const named = policies.filter((stored) => bits(stored).includes(best));
  return best >= 0 && named.length === 1 ? named[0].uid : undefined;
}

function holds(cidr: string, address: string): boolean {
  const [network, bits] = cidr.split("/");
  if (network.includes(":") || address.includes(":")) return network.includes(":") && address.startsWith("fd");
  const binary = (text: string) => text.split(".").map((part) => Number(part).toString(2).padStart(8, "0")).join("");
  return binary(address).slice(0, Number(bits)) === binary(network).slice(0, Number(bits));
}

Deno.test("AddressIndex.find() agrees with a plain reading of every kind", () => {
  const found = new Map<string, number>();
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = generator(seed);
    const rules = (direction: Direction) => compileRules(direction, defaultAttributes(direction).association);
    const index = new AddressIndex(joinRules(rules("source"), rules("destination")));
    const all: Stored[] = [];
    for (const [kind, { make }] of Object.entries(KINDS) as [Kind, (typeof KINDS)[Kind] & object][]) {
      for (const name of some(random, 2, () => `${random(1e9)}`)) {
        const whole = { ...object({ name, uid: `${kind}-${name}` }), ...make(random) };
        const stored: Stored = { kind, uid: whole.metadata.uid, object: whole, goneMs: NEVER };
        all.push(stored);
        index.put(stored, whole, 0, 0);
      }
    }
    for (let i = 0; i < LOOKUPS; i++) {
      const address = oneOf(random, IPS);
      const query: EndQuery = {
        address,
        key: addressKey(address),
        side: oneOf(random, [SIDES.source, SIDES.destination]),
        port: oneOf(random, [-1, 99, ...PORTS]),
        peerPort: oneOf(random, [-1, 99, ...PORTS]),
        transport: oneOf(random, ["tcp", "udp"]),
        networkType: address.includes(":") ? "ipv6" : "ipv4",
        startMs: 1,
        endMs: 2,
      };
      const expected = (Object.keys(KINDS) as Kind[]).map((kind) => {
        const ofKind = all.filter((stored) => stored.kind === kind);
        if (kind === "NetworkPolicy") return policyAt(ofKind, query);
        const there = ofKind.filter(({ object }) => KINDS[kind]!.isAt(object, query));
        return there.length === 1 ? there[0].uid : undefined;
      }).filter((uid) => uid !== undefined);
      const actual = index.find(query).map(({ uid }) => uid);
      const message = () => `seed ${seed}: ${JSON.stringify({ query, objects: all.map(({ object }) => object) })}`;
      if (actual.toSorted().join() !== expected.toSorted().join()) deepStrictEqual(actual, expected, message());
      for (const uid of actual) found.set(uid.split("-")[0], (found.get(uid.split("-")[0]) ?? 0) + 1);
    }
  }
  for (const kind of Object.keys(KINDS)) ok((found.get(kind) ?? 0) > ROUNDS / 5, `${kind} was hardly ever found`);
});
