/** The harness proves itself before it judges the agent: namespaces, traffic, tcpdump, Collector. */

import assert from "node:assert/strict";
import { Capture } from "./capture.ts";
import { Collector } from "./collector.ts";
import { identify } from "./community_id.ts";
import { type Count, countFlows, type FlowCount } from "./flows.ts";
import { counters, type End, isAlive, Network, sweepNamespaces } from "./netns.ts";
import { Process, run, tryRun } from "./process.ts";
import { finishBlast, Traffic } from "./traffic.ts";
import { until } from "./wait.ts";

const PORT = 7000;

/** Packets and bytes of all flows in both directions. */
function total(flows: FlowCount[]): Count {
  const counts = flows.flatMap(({ forward, reverse }) => [forward, reverse]);
  return counts.reduce((sum, count) => ({ packets: sum.packets + count.packets, bytes: sum.bytes + count.bytes }));
}

/** What the device itself counted, in both directions. */
async function deviceTotal(end: End): Promise<Count> {
  const { rxPackets, txPackets, rxBytes, txBytes } = await counters(end);
  return { packets: rxPackets + txPackets, bytes: rxBytes + txBytes };
}

Deno.test("Network.create() makes two namespaces that reach each other and leaves nothing behind", async () => {
  const paths: string[] = [];
  {
    await using network = await Network.create({ mtu: 1400 });
    const { left, right } = network;
    paths.push(left.namespace.path, right.namespace.path);
    const traffic = await Traffic.build();
    for (const to of [right.ipv4, right.ipv6]) {
      assert.deepEqual(await traffic.ping(left.namespace, { to, count: 2 }), { sent: 2, received: 2 });
    }
    const link = JSON.parse(await left.namespace.run(["ip", "-j", "link", "show", "dev", left.interfaceName]));
    assert.equal(link[0].mtu, 1400);
    assert.deepEqual(await traffic.hooks(left.namespace, left.interfaceName), { ingress: [], egress: [] });
  }
  for (const path of paths) assert.notEqual((await tryRun(["test", "-e", path])).code, 0, path);
});

Deno.test("sweepNamespaces() removes namespaces of dead tests only", async () => {
  await using network = await Network.create();
  const dead = Process.start(["true"]);
  await dead.exited;
  const name = `mm${dead.pid}n0000`;
  await run(["ip", "netns", "add", name]);
  assert.deepEqual((await sweepNamespaces()).filter((removed) => removed === name), [name]);
  assert.equal((await tryRun(["test", "-e", network.left.namespace.path])).code, 0);
});

Deno.test("Process kills what it started when it is disposed", async () => {
  let pid = 0;
  {
    await using sleeper = Process.start(["sleep", "600"]);
    pid = sleeper.pid;
    assert.ok(await isAlive(pid));
  }
  assert.ok(!await isAlive(pid));
});

Deno.test("Capture counts what 500 conversations of each kind sent", async (t) => {
  await using network = await Network.create();
  const { left, right } = network;
  const traffic = await Traffic.build();
  await using _server = await traffic.serve(right.namespace, PORT);
  for (const [protocol, family] of [["tcp", "ipv4"], ["tcp", "ipv6"], ["udp", "ipv4"], ["udp", "ipv6"]] as const) {
    await t.step(`${protocol} over ${family}`, async () => {
      await using capture = await Capture.start(left);
      const before = await deviceTotal(left);
      const options = { protocol, to: right[family], port: PORT, flows: 500, "source-port": 20_000, concurrency: 4 };
      const conversed = await traffic.converse(left.namespace, { ...options, request: 3000, reply: 900 });
      await network.untilQuiet();
      const counted = countFlows(await capture.stop());
      const after = await deviceTotal(left);
      assert.deepEqual(conversed, { flows: 500, repeated: 0 });
      // A UDP request of this size has a second fragment, which belongs to a flow without ports.
      assert.equal(counted.length, protocol === "tcp" ? 500 : 501);
      assert.equal(new Set((await identify(counted)).map(({ communityId }) => communityId)).size, counted.length);
      const passed = { packets: after.packets - before.packets, bytes: after.bytes - before.bytes };
      assert.deepEqual(total(counted), passed);
    });
  }
});

Deno.test("blast sends what it says it sends, from two threads into the same flows", async () => {
  await using network = await Network.create();
  const { left, right } = network;
  const traffic = await Traffic.build();
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  await using capture = await Capture.start(left);
  const options = { to: right.ipv4, port: PORT, "source-port": 20_000, flows: 3, threads: 2, packets: 20_000 };
  const { sent, refused, ports } = await traffic.blast(left.namespace, options);
  const blast = traffic.startBlast(left.namespace, { ...options, packets: 1_000_000, burst: 1, "pause-us": 1000 });
  const before = await counters(left);
  await until("the blast to send", async () => (await counters(left)).txPackets > before.txPackets + 100);
  const more = await finishBlast(blast);
  await network.untilQuiet();
  const counted = countFlows(await capture.stop()).filter(({ tuple }) => tuple.protocol === 17);
  assert.deepEqual([sent, refused, more.refused], [40_000, 0, 0]);
  const expected = ports.map(([port, packets], index) => [port, packets + more.ports[index][1]]);
  assert.deepEqual(counted.map(({ tuple, forward }) => [tuple.sourcePort, forward.packets]).sort(), expected.sort());
});

Deno.test("newflows makes as many flows as it says, and the sink answers none", async () => {
  await using network = await Network.create();
  const { left, right } = network;
  await left.namespace.run(["ip", "route", "add", "10.88.0.0/16", "via", right.ipv4]);
  await right.namespace.run(["ip", "route", "add", "local", "10.88.0.0/16", "dev", "lo"]);
  const traffic = await Traffic.build();
  await using _sink = await traffic.sink(right.namespace, PORT, 2);
  await using capture = await Capture.start(left);
  const options = { to: "10.88.0.0", port: PORT, "source-port": 20_000, rate: 100_000, seconds: 0.7 };
  const { flows, refused } = await traffic.newFlows(left.namespace, options);
  await network.untilQuiet();
  const counted = countFlows(await capture.stop()).filter(({ tuple }) => tuple.sourceAddress.startsWith("10."));
  assert.deepEqual([flows, refused], [70_000, 0]);
  assert.equal(counted.length, flows);
  assert.ok(counted.every(({ forward, reverse }) => forward.packets === 1 && reverse.packets === 0));
});

Deno.test("raw sends another protocol, which the peer's kernel refuses by ICMP", async () => {
  await using network = await Network.create();
  const { left, right } = network;
  const traffic = await Traffic.build();
  await using capture = await Capture.start(left);
  for (const to of [right.ipv4, right.ipv6]) {
    assert.deepEqual(await traffic.raw(left.namespace, { to, protocol: 252, packets: 5 }), { sent: 5 });
  }
  await network.untilQuiet();
  const counted = countFlows(await capture.stop());
  const raw = counted.filter(({ tuple }) => tuple.protocol === 252);
  assert.deepEqual(raw.map(({ forward }) => forward), [{ packets: 5, bytes: 490 }, { packets: 5, bytes: 590 }]);
  assert.ok(counted.some(({ tuple }) => tuple.protocol === 1 && tuple.sourcePort === 3 && tuple.destinationPort === 2));
});

const POSTED = {
  resourceSpans: [{
    resource: { attributes: [{ key: "service.name", value: { stringValue: "by hand" } }] },
    scopeSpans: [{
      scope: { name: "scope", version: "1" },
      spans: [{
        traceId: "0102030405060708090a0b0c0d0e0f10",
        spanId: "0102030405060708",
        name: "flow_ipv4_udp",
        kind: 3,
        startTimeUnixNano: "1700000000000000001",
        endTimeUnixNano: "1700000000000000002",
        attributes: [
          { key: "source.port", value: { intValue: "53" } },
          { key: "flow.interfaces", value: { arrayValue: { values: [{ stringValue: "a" }, { stringValue: "b" }] } } },
        ],
      }],
    }],
  }],
};

Deno.test("Collector keeps a span posted by hand and counts it", async () => {
  await using collector = await Collector.start();
  const response = await fetch(`${collector.httpEndpoint}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(POSTED),
  });
  assert.equal(response.status, 200, await response.text());
  const expected = [{
    traceId: "0102030405060708090a0b0c0d0e0f10",
    spanId: "0102030405060708",
    name: "flow_ipv4_udp",
    kind: 3,
    startNs: 1700000000000000001n,
    endNs: 1700000000000000002n,
    attributes: { "source.port": 53, "flow.interfaces": ["a", "b"] },
    resource: { "service.name": "by hand" },
    scopeName: "scope",
    scopeVersion: "1",
  }];
  assert.deepEqual(await collector.waitForSpans("the span", (spans) => spans.length > 0), expected);
  assert.equal(await collector.acceptedSpans(), 1);
  assert.deepEqual(await collector.stop(), expected);
});
