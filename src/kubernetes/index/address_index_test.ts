import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { AddressIndex } from "./address_index.ts";
import { addressKey } from "../model/address_key.ts";
import type { EndQuery } from "./entry.ts";
import { defaultAttributes } from "../defaults.ts";
import type { Kind } from "../model/kinds.ts";
import { compileRules } from "./rules.ts";
import { SIDES, type Stored } from "../model/stored.ts";
import { object, type ObjectParts } from "../testing.ts";

const NOW = 1_000_000;
const index = () => new AddressIndex(compileRules("destination", defaultAttributes("destination").association));
const query = (change: Partial<EndQuery>): EndQuery => ({
  address: "10.0.0.1",
  key: addressKey(change.address ?? "10.0.0.1"),
  side: SIDES.destination,
  port: 80,
  peerPort: 40_000,
  transport: "tcp",
  networkType: "ipv4",
  startMs: NOW,
  endMs: NOW + 1000,
  ...change,
});

function stored(kind: Kind, parts: ObjectParts): Stored {
  const whole = object(parts);
  return { kind, uid: whole.metadata.uid, object: whole, goneMs: Infinity };
}

function put(all: AddressIndex, one: Stored, startMs: number, nowMs: number): Stored {
  all.put(one, one.object, startMs, nowMs);
  return one;
}

const pod = (name: string, podIP: string, more: Partial<ObjectParts> = {}) =>
  stored("Pod", { name, status: { podIP, podIPs: [{ ip: podIP }], hostIP: "10.1.0.1" }, ...more });
const names = (found: readonly Stored[]) => found.map(({ object }) => object.metadata.name);

Deno.test("AddressIndex.find() finds a pod by its address, whatever the port", () => {
  const all = index();
  put(all, pod("a", "10.0.0.1"), 0, NOW);
  deepStrictEqual(names(all.find(query({ port: 80 }))), ["a"]);
  deepStrictEqual(names(all.find(query({ port: -1, transport: "icmp" }))), ["a"]);
  deepStrictEqual(names(all.find(query({ address: "10.0.0.2" }))), []);
});

Deno.test("AddressIndex.find() finds a pod on both sides, also when each side knows pods by something else", () => {
  const byAddress = (direction: "source" | "destination", to: string[]) =>
    compileRules(direction, { pod: { sources: [{ from: `${direction}.ip`, to }] } });
  const all = new AddressIndex([
    ...byAddress("source", ["status.podIP"]),
    ...byAddress("destination", ["status.podIPs[*]"]),
  ]);
  put(all, pod("a", "10.0.0.1"), 0, NOW);
  for (const side of Object.values(SIDES)) deepStrictEqual(names(all.find(query({ side }))), ["a"]);
});

Deno.test("AddressIndex.find() tells pods in the host's network apart by port and protocol", () => {
  const all = index();
  const host = (name: string, hostPort: number, protocol: string) =>
    pod(name, "10.1.0.1", {
      spec: {
        hostNetwork: true,
        containers: [{ name: "c", ports: [{ containerPort: hostPort, hostPort, protocol }] }],
      },
    });
  put(all, host("dns", 53, "UDP"), 0, NOW);
  put(all, host("web", 80, "TCP"), 0, NOW);
  put(all, pod("plain", "10.0.0.1", { spec: { containers: [{ name: "c", ports: [{ containerPort: 80 }] }] } }), 0, NOW);
  const at = (port: number, transport: string) => names(all.find(query({ address: "10.1.0.1", port, transport })));
  deepStrictEqual(at(53, "udp"), ["dns"]);
  deepStrictEqual(at(53, "tcp"), []);
  deepStrictEqual(at(80, "tcp"), ["web"]);
  deepStrictEqual(at(40_000, "tcp"), []);
  deepStrictEqual(at(-1, "icmp"), []);
});

Deno.test("AddressIndex.find() finds a pod by the port that its node gives it", () => {
  const all = index();
  const ports = [{ containerPort: 8080, hostPort: 80, protocol: "TCP" }];
  put(all, pod("a", "10.0.0.1", { spec: { containers: [{ name: "c", ports }] } }), 0, NOW);
  deepStrictEqual(names(all.find(query({ address: "10.1.0.1", port: 80 }))), ["a"]);
  deepStrictEqual(names(all.find(query({ address: "10.1.0.1", port: 8080 }))), []);
});

Deno.test("AddressIndex.find() finds a service by each of its addresses, with port, protocol and family", () => {
  const all = index();
  const spec = {
    clusterIP: "10.0.0.1",
    clusterIPs: ["10.0.0.1", "FD00:0::1"],
    externalIPs: ["192.0.2.7"],
    ipFamilies: ["IPv4", "IPv6"],
    ports: [{ port: 80, protocol: "TCP" }, { port: 53, protocol: "UDP" }],
  };
  put(
    all,
    stored("Service", { name: "s", spec, status: { loadBalancer: { ingress: [{ ip: "192.0.2.8" }] } } }),
    0,
    NOW,
  );
  for (const address of ["10.0.0.1", "192.0.2.7", "192.0.2.8"]) {
    deepStrictEqual(names(all.find(query({ address }))), ["s"], address);
  }
  deepStrictEqual(names(all.find(query({ address: "fd00::1", networkType: "ipv6" }))), ["s"]);
  deepStrictEqual(names(all.find(query({ port: 53, transport: "udp" }))), ["s"]);
  deepStrictEqual(names(all.find(query({ port: 53, transport: "tcp" }))), []);
  deepStrictEqual(names(all.find(query({ port: 81 }))), []);
});

Deno.test("AddressIndex.find() keeps addresses and ports of one subset together", () => {
  const all = index();
  const subset = (ip: string, port: number) => ({ addresses: [{ ip }], ports: [{ port, protocol: "TCP" }] });
  const endpoints = stored("Endpoint", { name: "e2" });
  endpoints.object = { ...endpoints.object, subsets: [subset("10.0.0.1", 80), subset("10.0.0.2", 81)] } as never;
  put(all, endpoints, 0, NOW);
  deepStrictEqual(names(all.find(query({ port: 80 }))), ["e2"]);
  deepStrictEqual(names(all.find(query({ port: 81 }))), []);
  deepStrictEqual(names(all.find(query({ address: "10.0.0.2", port: 81 }))), ["e2"]);
});

Deno.test("AddressIndex.find() finds policies by network, with ranges of ports and exceptions, the narrowest first", () => {
  const all = index();
  const policy = (name: string, cidr: string, except: string[], ports: unknown[]) =>
    stored("NetworkPolicy", { name, spec: { egress: [{ to: [{ ipBlock: { cidr, except } }], ports }] } });
  put(all, policy("wide", "10.0.0.0/8", ["10.9.0.0/16"], []), 0, NOW);
  put(all, policy("narrow", "10.0.0.0/24", [], [{ port: 80, endPort: 90, protocol: "TCP" }]), 0, NOW);
  put(all, policy("six", "fd00::/8", [], []), 0, NOW);
  deepStrictEqual(names(all.find(query({ port: 85 }))), ["narrow"]);
  deepStrictEqual(names(all.find(query({ port: 91 }))), ["wide"]);
  deepStrictEqual(names(all.find(query({ address: "10.9.1.1" }))), []);
  deepStrictEqual(names(all.find(query({ address: "fd12::1" }))), ["six"]);
  deepStrictEqual(names(all.find(query({ address: "11.0.0.1" }))), []);
});

Deno.test("AddressIndex.keyOf() tells ports apart where an object does, and no others", () => {
  const all = index();
  const classes = () => new Set(Array.from({ length: 65_536 }, (_, port) => all.keyOf(query({ port })))).size;
  const policy = (name: string, ports: unknown[]) =>
    put(
      all,
      stored("NetworkPolicy", { name, spec: { egress: [{ to: [{ ipBlock: { cidr: "::/0" } }], ports }] } }),
      0,
      NOW,
    );
  strictEqual(classes(), 1);
  policy("any", [{ protocol: "TCP" }, { port: "named" }]);
  strictEqual(classes(), 1);
  policy("all", [{ port: 1, endPort: 65_535 }]);
  strictEqual(classes(), 2, "0 is not one of them");
  policy("some", [{ port: 80, endPort: 90 }]);
  strictEqual(classes(), 4, "before, in and behind");
  policy("one", [{ port: 85 }]);
  strictEqual(classes(), 5);
  policy("overlapping", [{ port: 88, endPort: 100 }]);
  strictEqual(classes(), 7);
});

Deno.test("AddressIndex.find() names none of two objects that both fit", () => {
  const all = index();
  const service = (name: string, port: number) =>
    stored("Service", { name, spec: { externalIPs: ["192.0.2.7"], ports: [{ port, protocol: "TCP" }] } });
  put(all, service("a", 80), 0, NOW);
  put(all, service("b", 80), 0, NOW);
  put(all, service("c", 81), 0, NOW);
  deepStrictEqual(names(all.find(query({ address: "192.0.2.7", port: 80 }))), []);
  deepStrictEqual(names(all.find(query({ address: "192.0.2.7", port: 81 }))), ["c"]);
});

Deno.test("AddressIndex.find() never gives a dead pod's address to its flows of the next, or the other way round", () => {
  const all = index();
  const old = put(all, pod("old", "10.0.0.1"), 1000, 1500);
  all.end(old, { sureMs: 5000, goneMs: 6000 });
  put(all, pod("new", "10.0.0.1"), 5500, 7000);
  const at = (startMs: number, endMs = startMs) => names(all.find(query({ startMs, endMs })));
  deepStrictEqual(at(500), []);
  deepStrictEqual(at(1000), ["old"]);
  deepStrictEqual(at(4999, 5400), ["old"]);
  deepStrictEqual(at(4999, 7000), [], "its window ends in the time of the next");
  deepStrictEqual(at(5400), ["old"], "nobody else can have it yet");
  deepStrictEqual(at(5600), [], "either of them");
  deepStrictEqual(at(6000), ["new"]);
  deepStrictEqual(at(1e9), ["new"]);
});

Deno.test("AddressIndex.find() names nobody when a third had the address for a moment of the window", () => {
  const all = index();
  const old = put(all, pod("old", "10.0.0.1"), 1000, 1500);
  all.end(old, { sureMs: 5000, goneMs: 6000 });
  const brief = put(all, pod("brief", "10.0.0.1"), 6500, 7000);
  all.end(brief, { sureMs: 8000, goneMs: 8500 });
  const at = (startMs: number, endMs: number) => names(all.find(query({ startMs, endMs })));
  deepStrictEqual(at(4000, 9000), []);
  deepStrictEqual(at(4000, 6600), []);
  deepStrictEqual(at(4000, 6400), ["old"], "before it came");
  deepStrictEqual(at(7000, 9000), ["brief"], "nobody has come since");
});

Deno.test("AddressIndex.find() names nobody for a window that reaches into a time that nobody saw", () => {
  const all = index();
  all.end(put(all, pod("a", "10.0.0.1"), 1000, 1500), { sureMs: 5000, goneMs: 9000, isUnseen: true });
  const at = (startMs: number, endMs: number) => names(all.find(query({ startMs, endMs })));
  deepStrictEqual(at(4000, 4900), ["a"]);
  deepStrictEqual(at(4000, 5000), []);
});

Deno.test("AddressIndex.find() names no pod that is asked to go while another waits for an address on its node", () => {
  const asked = { sureMs: 5000, goneMs: Infinity, isAsked: true };
  const all = index();
  const old = pod("old", "10.0.0.1", { spec: { nodeName: "node-a" } });
  all.put(old, old.object, 1000, 1500);
  all.put(old, old.object, 1000, 5500, asked);
  const at = (startMs: number, endMs = startMs) => names(all.find(query({ startMs, endMs })));
  deepStrictEqual(at(6000), ["old"]);
  const elsewhere = stored("Pod", { name: "elsewhere", spec: { nodeName: "node-b" } });
  put(all, elsewhere, 2000, 5600);
  deepStrictEqual(at(6000), ["old"]);
  const next = stored("Pod", { name: "next", spec: { nodeName: "node-a" } });
  put(all, next, 2000, 5600);
  deepStrictEqual([at(4000), at(6000), at(4000, 6000)], [["old"], [], []]);
  strictEqual(all.answersFor(query({ startMs: 1e9 })), undefined, "it may pass to the next without a word");
  // What it has told late is true for the time before.
  all.end(old, { sureMs: 7000, goneMs: 9000 });
  deepStrictEqual([at(6000), at(7000), at(9000)], [["old"], [], []]);
  next.object = pod("next", "10.0.0.1").object;
  put(all, next, 2000, 9500);
  deepStrictEqual([at(6000), at(7000), at(9000)], [[], [], ["next"]]);
});

Deno.test("AddressIndex.find() believes the newest pod when the end of the last was never seen", () => {
  const all = index();
  put(all, pod("new", "10.0.0.1"), 5500, 7000);
  put(all, pod("old", "10.0.0.1"), 1000, 7000);
  const at = (startMs: number) => names(all.find(query({ startMs, endMs: startMs })));
  deepStrictEqual(at(5000), ["old"]);
  deepStrictEqual(at(6000), []);
  deepStrictEqual(at(7000), ["new"]);
});

Deno.test("AddressIndex.put() follows an object whose addresses change", () => {
  const all = index();
  const node = stored("Node", { name: "n", status: { addresses: [{ address: "10.0.0.1" }] } });
  put(all, node, 0, 1000);
  node.object = object({ name: "n", status: { addresses: [{ address: "10.0.0.2" }] } });
  put(all, node, 2000, 2000);
  const at = (address: string, startMs: number) => names(all.find(query({ address, startMs, endMs: startMs })));
  deepStrictEqual([at("10.0.0.1", 1500), at("10.0.0.1", 2500)], [["n"], []]);
  deepStrictEqual([at("10.0.0.2", 1500), at("10.0.0.2", 2500)], [[], ["n"]]);
});

Deno.test("AddressIndex.purge() forgets what is gone, and only that", () => {
  const all = index();
  const pods = [put(all, pod("a", "10.0.0.1"), 0, 1000), put(all, pod("b", "10.0.0.2"), 0, 1000)];
  all.end(pods[0], { sureMs: 2000, goneMs: 2000 });
  all.purge(2000);
  strictEqual(all.size, 2);
  all.purge(2001);
  strictEqual(all.size, 1);
  deepStrictEqual(names(all.find(query({ address: "10.0.0.2", startMs: 1e9 }))), ["b"]);
});
