/** The loader by itself: what it finds in the kernel and in its pins, and what becomes of it. */

import assert from "node:assert/strict";
import { type CaptureSession, FlowRecords, LoaderError } from "../../src/capture/mod.ts";
import { prepareBpffs } from "../harness/agent.ts";
import { type End, Network, uniqueName } from "../harness/netns.ts";
import { PIN_ROOT } from "../harness/programs.ts";
import { run } from "../harness/process.ts";
import { Traffic } from "../harness/traffic.ts";
import { attachTo, builtLoader, drain, drainByInterface, NOTHING_DUE, openSession, sessionOptions } from "./session.ts";

const PORT = 7000;

/** Two ends, and datagrams of one flow from the left one to the right one, where somebody takes them. */
class Wire implements AsyncDisposable {
  private constructor(
    readonly left: End,
    readonly right: End,
    private readonly traffic: Traffic,
    private readonly resources: AsyncDisposableStack,
  ) {}

  static async open(): Promise<Wire> {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using resources = new AsyncDisposableStack();
    const { left, right } = resources.use(await Network.create());
    resources.use(await traffic.sink(right.namespace, PORT, 1));
    return new Wire(left, right, traffic, resources.move());
  }

  async send(packets: number): Promise<void> {
    const options = { to: this.right.ipv4, port: PORT, "source-port": 20_000, threads: 1, flows: 1, packets };
    await this.traffic.blast(this.left.namespace, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

Deno.test("forget() ends the flows of an interface that is gone: another one counts the rest", async () => {
  await using wire = await Wire.open();
  const { left, right } = wire;
  using opened = await openSession(sessionOptions(left));
  const { session } = opened;
  const index = await attachTo(session, left.interfaceName);
  await wire.send(1000);
  // The same addresses on another interface.
  const { namespace } = left;
  await namespace.run(["ip", "link", "add", "other", "type", "veth", "peer", "name", "far"]);
  for (const name of ["other", "far"]) await namespace.run(["ip", "link", "set", name, "up"]);
  await session.forget([index]);
  await attachTo(session, "other");
  await namespace.run(["ip", "route", "replace", `${right.ipv4}/32`, "dev", "other"]);
  await namespace.run(["ip", "neigh", "add", right.ipv4, "lladdr", "02:00:00:00:00:99", "dev", "other"]);
  await wire.send(500);
  assert.equal(await drain(session), 1500);
});

Deno.test("forget() ends also the flows whose window a sweep has just cut", async () => {
  await using wire = await Wire.open();
  const { left } = wire;
  using opened = await openSession(sessionOptions(left));
  const { session } = opened;
  const index = await attachTo(session, left.interfaceName);
  await wire.send(1000);
  assert.ok(await session.sweep({ ...NOTHING_DUE, activeMs: 0 }) > 0);
  await session.forget([index]);
  const records = new FlowRecords(session.records);
  const cut = session.read();
  assert.ok(cut > 0);
  for (let i = 0; i < cut; i++) {
    records.seek(i);
    assert.equal(records.isLast, false);
  }
  await session.sweep(NOTHING_DUE);
  session.read();
  assert.equal(session.counters().used, 0);
});

Deno.test("open() makes a table anew that an agent did not live to finish, whatever its size", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const { left } = network;
  for (const map of ["FLOW_EXPORTED", "FREE_SLOTS", "TABLE_STATE"]) {
    const instance = uniqueName("i");
    const pinned = sessionOptions(left, { pinRoot: PIN_ROOT, instance, flowCapacity: 64 });
    const { session, report } = await builtLoader().open(pinned);
    assert.deepEqual([report.pinned, report.reused, report.capacity], [true, false, 64]);
    session.close(true);
    const found = await run(["find", `${PIN_ROOT}/${instance}`, "-mindepth", "2", "!", "-name", map]);
    for (const path of found.trim().split("\n")) await run(["rm", path]);
    const again = await builtLoader().open({ ...pinned, flowCapacity: 128 });
    assert.deepEqual([again.report.pinned, again.report.reused, again.report.capacity], [true, false, 128], map);
    assert.equal(again.session.counters().used, 0);
    again.session.close(false);
  }
});

Deno.test("bookFiltered() moves packets from counted to filtered, also for the next session", async () => {
  await using wire = await Wire.open();
  const { left } = wire;
  const pinned = sessionOptions(left, { pinRoot: PIN_ROOT, instance: uniqueName("i") });
  const figures = (session: CaptureSession) =>
    session.counters().hooks.filter(({ direction }) => direction === "egress")
      .sort((a, b) => a.ifindex - b.ifindex)
      .map(({ packets, counted, duplicate, filtered }) => ({
        rest: packets - counted - duplicate - filtered,
        filtered,
      }));
  {
    const { session } = await builtLoader().open(pinned);
    let keep = false;
    try {
      const index = await attachTo(session, left.interfaceName);
      await wire.send(1000);
      session.bookFiltered(index << 1 | 1, 300);
      session.bookFiltered(index << 1 | 1, 0);
      session.bookFiltered(index << 1 | 1, 1);
      // Counters that are gone, or never were, take nothing.
      session.bookFiltered(0x7fff_fff1, 5);
      keep = true;
    } finally {
      session.close(keep);
    }
  }
  using opened = await openSession(pinned);
  const { session } = opened;
  const index = await attachTo(session, left.interfaceName);
  assert.deepEqual(figures(session), [{ rest: 0, filtered: 301 }]);
  await session.forget([index]);
  await attachTo(session, left.interfaceName);
  // The first are the sums over what is gone, where also flows end up that were open then.
  assert.deepEqual(figures(session), [{ rest: 0, filtered: 301 }, { rest: 0, filtered: 0 }]);
  await session.forget([index]);
  session.bookFiltered(index << 1 | 1, 99);
  assert.deepEqual(figures(session), [{ rest: 0, filtered: 400 }]);
});

Deno.test("open() keeps the size of a table that it takes over", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const pinned = sessionOptions(network.left, { pinRoot: PIN_ROOT, instance: uniqueName("i"), flowCapacity: 64 });
  (await builtLoader().open(pinned)).session.close(true);
  const { session, report } = await builtLoader().open({ ...pinned, flowCapacity: 128 });
  assert.deepEqual([report.pinned, report.reused, report.capacity], [true, true, 64]);
  session.close(false);
});

Deno.test("a closed session answers with an error, also when there is a newer one", async () => {
  await using network = await Network.create();
  const first = (await builtLoader().open(sessionOptions(network.left))).session;
  first.close(false);
  using opened = await openSession(sessionOptions(network.left));
  const { session } = opened;
  assert.throws(() => first.counters(), LoaderError);
  await assert.rejects(() => first.sweep(NOTHING_DUE), LoaderError);
  assert.equal(session.counters().used, 0);
});

Deno.test("attach() replaces what was left on the hook in the other mode before it counts twice", async () => {
  await using wire = await Wire.open();
  const { left } = wire;
  const pinned = sessionOptions(left, { pinRoot: PIN_ROOT, instance: uniqueName("i") });
  const clsact = (await builtLoader().open({ ...pinned, attach: { ...pinned.attach, mode: "clsact" } })).session;
  await attachTo(clsact, left.interfaceName);
  clsact.close(true);
  using opened = await openSession(pinned);
  const { session } = opened;
  await attachTo(session, left.interfaceName);
  await wire.send(100);
  await session.prune();
  assert.equal(await drain(session), 100);
});

for (const [mode, isExported] of [["tcx", false], ["tcx", true], ["clsact", false]] as const) {
  const name = `${mode}, ${isExported ? "which had exported all" : "with open flows"}`;
  Deno.test(`attach() does not take an interface for another that had its index under an earlier agent (${name})`, async () => {
    await using wire = await Wire.open();
    const { left, right } = wire;
    const pinned = sessionOptions(left, {
      pinRoot: PIN_ROOT,
      instance: uniqueName("i"),
      attach: { mode, tcxFirst: true, tcPriority: 1 },
    });
    const first = (await builtLoader().open(pinned)).session;
    const index = await attachTo(first, left.interfaceName);
    await wire.send(100);
    if (isExported) {
      await first.sweep({ ...NOTHING_DUE, activeMs: 0 });
      first.read();
    }
    const gone = isExported ? {} : { 0: 100 };
    first.close(true);
    const { namespace } = left;
    const commands = [
      `link del ${left.interfaceName}`,
      `link add other index ${index} type veth peer name far`,
      "link set other up",
      "link set far up",
      `addr add ${left.ipv4}/16 dev other`,
      `neigh replace ${right.ipv4} lladdr ${right.mac} nud permanent dev other`,
    ];
    await namespace.run(["ip", "-batch", "-"], commands.join("\n") + "\n");
    using opened = await openSession(pinned);
    const { session } = opened;
    assert.equal(await attachTo(session, "other"), index);
    await wire.send(50);
    assert.deepEqual(await drainByInterface(session), { ...gone, [index]: 50 });
    await wire.send(30);
    assert.deepEqual(await drainByInterface(session), { [index]: 30 });
  });
}
