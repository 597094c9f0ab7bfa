/** A packet that passes several hooks is counted at one of them, and all that a hook sees is accounted for. */

import assert from "node:assert/strict";
import type { CaptureSession, HookCounters } from "../../src/capture/mod.ts";
import type { RecordValues } from "../../src/flow/testing.ts";
import type { Namespace } from "../harness/netns.ts";
import { finishBlast, Traffic } from "../harness/traffic.ts";
import { sleep, until, untilQuiet } from "../harness/wait.ts";
import { FAR, Host } from "./host.ts";
import { sweep } from "./records.ts";
import { attachTo, openSession, sessionOptions } from "./session.ts";

const PORT = 7000;
const SOURCE_PORT = 20_000;
const [TCP, UDP] = [6, 17];
/** Another hook takes a side over when its owner has been silent for 200 ms and 200 ms more have passed. */
const LATER_MS = 400;
const PAUSE_US = 3000;
/** With that pause between them they take longer, whatever the machine does. */
const LATER_PACKETS = 200;

function packetsOf(records: RecordValues[]): [number, number] {
  return records.reduce(([a, b], { packetsDelta }) => [a + packetsDelta[0], b + packetsDelta[1]], [0, 0]);
}

function sum(hooks: HookCounters[], take: (hook: HookCounters) => number): number {
  return hooks.reduce((total, hook) => total + take(hook), 0);
}

/** Packets that left the pod, as far as they came to the hook of this interface: at full rate some are dropped before. */
function seenAt(session: CaptureSession, ifindex: number): number {
  const hooks = session.counters().hooks.filter((hook) => hook.ifindex === ifindex && hook.direction === "ingress");
  return sum(hooks, ({ packets }) => packets);
}

/** Whatever was seen became exactly one thing, and what was counted is in records or will be. */
function assertAddsUp(session: CaptureSession): void {
  const { hooks, taken, openPackets } = session.counters();
  for (const { packets, counted, duplicate, filtered, unparsed, lost, ...hook } of hooks) {
    assert.equal(
      counted + duplicate + filtered + [...unparsed, ...lost].reduce((a, b) => a + b),
      packets,
      `${hook.ifindex}`,
    );
    assert.ok(counted >= 0 && duplicate >= 0, `${hook.ifindex} counts backwards`);
  }
  assert.equal(sum(hooks, ({ counted }) => counted), taken + openPackets);
}

async function withSession(
  host: Host,
  names: string[],
  body: (session: CaptureSession) => Promise<void>,
): Promise<void> {
  const end = { namespace: host.host, interfaceName: "", mac: "", ipv4: "", ipv6: "" };
  using opened = await openSession(sessionOptions(end));
  const { session } = opened;
  for (const name of names) await attachTo(session, name);
  await body(session);
}

/** What one device has passed, sent and received. */
async function passed({ host }: { host: Namespace }, name: string): Promise<number> {
  const { rx, tx } = JSON.parse(await host.run(["ip", "-j", "-s", "link", "show", "dev", name]))[0].stats64;
  return rx.packets + tx.packets;
}

/** Resolves when the pod has sent so many more packets by this interface. */
async function untilPassed({ pod }: Host, name: "a" | "b", count = LATER_PACKETS): Promise<void> {
  const before = await passed({ host: pod }, name);
  await until(`${count} packets by ${name}`, async () => await passed({ host: pod }, name) >= before + count);
}

/** Resolves when no packet passes any more. */
function untilAtRest({ host }: Host): Promise<void> {
  return untilQuiet("traffic of the host", () => host.run(["ip", "-j", "-s", "link"]));
}

for (const kind of ["bridged", "routed"] as const) {
  Deno.test(`conversations through three interfaces of a host are counted on the first of them (${kind})`, async () => {
    const traffic = await Traffic.build();
    await using host = await Host.create(kind);
    const watched = kind === "bridged" ? ["poda", "bridge", "uplink"] : ["poda", "podb", "uplink"];
    await withSession(host, watched, async (session) => {
      await using _server = await traffic.serve(host.far, PORT);
      const common = { to: FAR, port: PORT, "source-port": SOURCE_PORT, flows: 200, concurrency: 2 };
      await traffic.converse(host.pod, { ...common, protocol: "tcp", rounds: 3, reply: 20_000 });
      await traffic.converse(host.pod, { ...common, protocol: "udp", rounds: 3 });
      await untilAtRest(host);
      const [poda, uplink] = [await host.index("poda"), await host.index("uplink")];
      const records = await sweep(session);
      assert.equal(records.length, 400);
      for (const record of records) {
        assert.deepEqual(record.hook.map((hook) => hook >> 1), [poda, poda]);
        assert.deepEqual(record.interfaces, [poda, uplink]);
        assert.ok(record.packetsDelta.every((packets) => packets > 0));
        // The pod is side 0. What came by the uplink first was seen before the router took one hop away.
        assert.deepEqual(record.ttl, kind === "routed" ? [64, 63] : [64, 64]);
      }
      const total = packetsOf(records);
      assert.equal(total[0] + total[1], await passed(host, "poda"));
      const { hooks } = session.counters();
      assert.equal(sum(hooks, ({ duplicate }) => duplicate), await passed(host, "uplink"));
      assertAddsUp(session);
    });
  });
}

const changes: { name: string; watched: string[]; moves: ("a" | "b")[]; owner: string }[] = [
  { name: "to an interface that has not seen it", watched: ["poda", "podb"], moves: ["b"], owner: "podb" },
  { name: "while the uplink sees it all", watched: ["poda", "podb", "uplink"], moves: ["b"], owner: "podb" },
  { name: "off the watched pod interfaces", watched: ["poda", "uplink"], moves: ["b"], owner: "uplink" },
  { name: "there and back", watched: ["poda", "podb"], moves: ["b", "a", "b", "a"], owner: "poda" },
  { name: "there and back, seen by the uplink", watched: ["poda", "podb", "uplink"], moves: ["b", "a"], owner: "" },
];
for (const { name, watched, moves, owner } of changes) {
  Deno.test(`a flow that moves ${name} is counted there from then on, and nothing is lost`, async () => {
    const traffic = await Traffic.build();
    await using host = await Host.create("bridged");
    await withSession(host, watched, async (session) => {
      await using _sink = await traffic.sink(host.far, PORT, 1);
      const slowly = { threads: 1, flows: 1, burst: 1, "pause-us": PAUSE_US };
      await using blast = traffic.startBlast(host.pod, { to: FAR, port: PORT, "source-port": SOURCE_PORT, ...slowly });
      const records: RecordValues[] = [];
      await untilPassed(host, "a");
      for (const move of moves) {
        await host.leaveBy(move);
        records.push(...await sweep(session, { activeMs: 1 }));
        await untilPassed(host, move);
      }
      const { ports: [[, sent]] } = await finishBlast(blast);
      await untilAtRest(host);
      records.push(...await sweep(session));
      assert.deepEqual(packetsOf(records), [sent, 0]);
      if (owner) assert.equal(records.at(-1)!.hook[0] >> 1, await host.index(owner));
      assertAddsUp(session);
      for (const { startNs, endNs } of records) assert.ok(startNs <= endNs);
    });
  });
}

for (const { name, rounds } of [{ name: "short", rounds: 1 }, { name: "long", rounds: 40 }]) {
  for (const { protocol, number } of [{ protocol: "tcp", number: TCP }, { protocol: "udp", number: UDP }]) {
    Deno.test(`answers that come by another interface are counted there (${name} ${protocol})`, async () => {
      const traffic = await Traffic.build();
      await using host = await Host.create("bridged");
      await host.returnBy("b");
      await withSession(host, ["poda", "podb"], async (session) => {
        await using _server = await traffic.serve(host.far, PORT);
        const talk = { to: FAR, port: PORT, "source-port": SOURCE_PORT, flows: 1, rounds, "gap-ms": 20 };
        await traffic.converse(host.pod, { ...talk, protocol });
        await untilAtRest(host);
        const [record, ...more] = await sweep(session);
        assert.deepEqual([more, record.protocol], [[], number]);
        assert.deepEqual(record.hook, [await host.index("poda") << 1, await host.index("podb") << 1 | 1]);
        assert.deepEqual(record.isIpKnown, [true, true]);
        assert.deepEqual(record.packetsDelta, [await passed(host, "poda"), await passed(host, "podb")]);
        const { hooks } = session.counters();
        assert.equal(sum(hooks, ({ duplicate }) => duplicate), 0);
        assertAddsUp(session);
      });
    });
  }
}

Deno.test("windows cut at full packet rate on two CPUs count each packet once, although two hooks see it", async () => {
  const traffic = await Traffic.build();
  await using host = await Host.create("bridged");
  await withSession(host, ["poda", "uplink"], async (session) => {
    await using _sink = await traffic.sink(host.far, PORT, 1);
    const full = { threads: 2, flows: 16, burst: 32, packets: 200_000 };
    let done = false;
    const blast = traffic.blast(host.pod, { to: FAR, port: PORT, "source-port": SOURCE_PORT, ...full })
      .finally(() => done = true);
    const records: RecordValues[] = [];
    while (!done) records.push(...await sweep(session, { activeMs: 0.001 }));
    await blast;
    await untilAtRest(host);
    records.push(...await sweep(session));
    assert.deepEqual(packetsOf(records), [seenAt(session, await host.index("poda")), 0]);
    assert.ok(records.length > 2 * full.flows, `only ${records.length} windows`);
    assertAddsUp(session);
  });
});

Deno.test("a flow that moves at full packet rate to an interface that has not seen it loses nothing", async () => {
  const traffic = await Traffic.build();
  await using host = await Host.create("bridged");
  await withSession(host, ["poda", "podb"], async (session) => {
    await using _sink = await traffic.sink(host.far, PORT, 1);
    const full = { threads: 1, flows: 1, burst: 1 };
    await using blast = traffic.startBlast(host.pod, { to: FAR, port: PORT, "source-port": SOURCE_PORT, ...full });
    for (const name of ["a", "b"] as const) {
      await host.leaveBy(name);
      await untilPassed(host, name, 1);
      await sleep(LATER_MS);
      await untilPassed(host, name, 1);
    }
    await finishBlast(blast);
    await untilAtRest(host);
    const [first, second] = [seenAt(session, await host.index("poda")), seenAt(session, await host.index("podb"))];
    assert.ok(first > 0 && second > 0);
    assert.deepEqual(packetsOf(await sweep(session)), [first + second, 0]);
    assertAddsUp(session);
  });
});

Deno.test("an interface that is watched later only sees copies", async () => {
  const traffic = await Traffic.build();
  await using host = await Host.create("bridged");
  await withSession(host, ["poda"], async (session) => {
    await using _sink = await traffic.sink(host.far, PORT, 1);
    const slowly = { threads: 1, flows: 1, burst: 1, "pause-us": PAUSE_US };
    await using blast = traffic.startBlast(host.pod, { to: FAR, port: PORT, "source-port": SOURCE_PORT, ...slowly });
    await untilPassed(host, "a");
    await attachTo(session, "uplink");
    await untilPassed(host, "a");
    const { ports: [[, sent]] } = await finishBlast(blast);
    await untilAtRest(host);
    const [record] = await sweep(session);
    assert.deepEqual(record.packetsDelta, [sent, 0]);
    assert.deepEqual(record.interfaces, [await host.index("poda"), await host.index("uplink")]);
    assertAddsUp(session);
  });
});

Deno.test("a conversation over loopback is counted once, although both hooks see each packet", async () => {
  const traffic = await Traffic.build();
  await using host = await Host.create("bridged");
  await withSession(host, ["lo"], async (session) => {
    await using _server = await traffic.serve(host.host, PORT);
    const talk = { to: "127.0.0.1", port: PORT, "source-port": SOURCE_PORT, flows: 50, rounds: 5, "gap-ms": 5 };
    await traffic.converse(host.host, { ...talk, protocol: "tcp" });
    await traffic.converse(host.host, { ...talk, protocol: "udp" });
    await untilAtRest(host);
    const records = await sweep(session);
    const [a, b] = packetsOf(records);
    assert.equal(records.length, 100);
    // Sent is received here.
    assert.equal(a + b, await passed(host, "lo") / 2);
    const { hooks } = session.counters();
    assert.equal(sum(hooks, ({ duplicate }) => duplicate), a + b);
    assertAddsUp(session);
  });
});
