import assert from "node:assert/strict";
import { FakeSession, networkInterface } from "../capture/testing.ts";
import { FakeLogger, settled } from "../export/testing.ts";
import { InterfaceWatcher } from "./watcher.ts";

const LO = networkInterface("lo", 1, { addresses: ["127.0.0.1", "::1"] });
const ETH0 = networkInterface("eth0", 2, { addresses: ["10.0.0.1", "fe80::1"] });
const ETH1 = networkInterface("eth1", 3, { addresses: ["10.1.0.1"] });

/** `nameWhenRead` is that of interface 2 when records were asked for last. */
function setUp(patterns: string[], ...links: typeof LO[]) {
  const session = new FakeSession();
  session.links = links;
  const logger = new FakeLogger();
  const clock = { nowMs: 0, slept: [] as number[], nameWhenRead: undefined as string | undefined };
  const watcher: InterfaceWatcher = new InterfaceWatcher({
    ...{ patterns, session, logger },
    recordsRead: () => {
      session.calls.push("records read");
      clock.nameWhenRead = watcher.interface(2)?.name;
      return Promise.resolve();
    },
    now: () => clock.nowMs,
    sleep: (ms) => {
      clock.slept.push(ms);
      return Promise.resolve();
    },
  });
  return { session, logger, clock, watcher };
}

Deno.test("InterfaceWatcher.scan() attaches once to what matches", async () => {
  const { session, watcher, logger } = setUp(["eth*"], ETH1, LO, ETH0);
  await watcher.scan();
  await watcher.scan();
  assert.deepEqual(session.calls, ["attach eth0", "attach eth1"]);
  assert.deepEqual([...watcher.attached.keys()], [2, 3]);
  assert.deepEqual(watcher.attached.get(2), { name: "eth0", mac: ETH0.mac, mode: "tcx" });
  assert.deepEqual(logger.lines, ["info interface_attached", "info interface_attached"]);
});

Deno.test("InterfaceWatcher.scan() follows interfaces that come and go", async () => {
  const { session, watcher, logger } = setUp(["eth*"], ETH0);
  await watcher.scan();
  session.links = [ETH0, ETH1];
  await watcher.scan();
  session.links = [ETH1];
  await watcher.scan();
  // It came back: under the old name, with a new index.
  session.links = [ETH1, networkInterface("eth0", 7)];
  await watcher.scan();
  assert.deepEqual(session.calls, ["attach eth0", "attach eth1", "forget 2", "attach eth0"]);
  assert.deepEqual([...watcher.attached.keys()], [3, 7]);
  assert.equal(logger.lines.filter((line) => line === "info interface_gone").length, 1);
});

Deno.test("InterfaceWatcher.scan() tells of many interfaces in few lines and calls", async () => {
  const links = Array.from({ length: 100 }, (_, i) => networkInterface(`veth${i}`, 10 + i));
  const { session, watcher, logger } = setUp(["veth*"], ...links);
  await watcher.scan();
  assert.equal(watcher.attached.size, 100);
  session.links = [];
  await watcher.scan();
  assert.deepEqual(session.calls.filter((call) => call.startsWith("forget")), [
    `forget ${links.map(({ index }) => index).join(" ")}`,
  ]);
  assert.equal(logger.lines.length, 5 + 5 + 1);
});

Deno.test("InterfaceWatcher.scan() follows a new name, and forgets who has one that does not match", async () => {
  const link = networkInterface("eth0", 2);
  const { session, watcher, logger } = setUp(["eth*"], link);
  await watcher.scan();
  link.name = "eth9";
  await watcher.scan();
  assert.equal(watcher.attached.get(2)?.name, "eth9");
  assert.equal(watcher.interface(2)?.name, "eth9");
  link.name = "wan";
  await watcher.scan();
  assert.equal(watcher.attached.size, 0);
  assert.equal(watcher.interface(2)?.name, "eth9", "flows that ended keep the name they had");
  link.name = "eth1";
  await watcher.scan();
  assert.equal(watcher.interface(2)?.name, "eth1");
  assert.deepEqual(session.calls, ["attach eth0", "forget 2", "records read", "attach eth1"]);
  assert.deepEqual(logger.lines.slice(1), [
    "info interface_renamed",
    "info interface_gone",
    "error no_interface_matches",
    "info interface_attached",
  ]);
});

Deno.test("InterfaceWatcher.scan() notices that another interface has the index", async () => {
  const { session, watcher, clock } = setUp(["eth*"], ETH0);
  await watcher.scan();
  session.links = [networkInterface("eth5", ETH0.index)];
  await watcher.scan();
  assert.deepEqual(session.calls, ["attach eth0", "forget 2", "records read", "attach eth5"]);
  assert.equal(clock.nameWhenRead, "eth0", "the records of the old one are read under its name");
  assert.equal(watcher.interface(2)?.name, "eth5");
});

Deno.test("InterfaceWatcher.interface() knows interfaces that went away, and none that was never meant", async () => {
  const { session, watcher } = setUp(["eth*"], LO, ETH0);
  await watcher.scan();
  session.links = [LO];
  await watcher.scan();
  assert.equal(watcher.interface(2)?.name, "eth0");
  assert.equal(watcher.interface(1), undefined);
});

Deno.test("InterfaceWatcher.interface() forgets an interface that has been gone for ten minutes", async () => {
  const { session, watcher, clock } = setUp(["eth*"], ETH0, ETH1);
  const known = () => [ETH0, ETH1].map(({ index }) => index).filter((index) => watcher.interface(index));
  const steps: [afterMs: number, links: typeof LO[], expected: number[]][] = [
    [0, [ETH0, ETH1], [2, 3]],
    [0, [ETH1], [2, 3]],
    [599_999, [ETH1], [2, 3]],
    // It comes back, under the index that it had, and its time begins anew when it goes.
    [0, [ETH0, ETH1], [2, 3]],
    [100_000, [ETH1], [2, 3]],
    [599_999, [ETH1], [2, 3]],
    [1, [ETH1], [3]],
  ];
  for (const [afterMs, links, expected] of steps) {
    clock.nowMs += afterMs;
    session.links = links;
    await watcher.scan();
    assert.deepEqual(known(), expected);
  }
});

Deno.test("InterfaceWatcher.isLocal() knows the addresses of all interfaces, as of the last scan", async () => {
  const { session, watcher } = setUp(["eth0"], LO, ETH0);
  const known = () => ["127.0.0.1", "::1", "10.0.0.1", "fe80::1", "10.1.0.1"].map((each) => watcher.isLocal(each));
  assert.deepEqual(known(), [false, false, false, false, false]);
  await watcher.scan();
  assert.deepEqual(known(), [true, true, true, true, false]);
  session.links = [LO, ETH1];
  await watcher.scan();
  assert.deepEqual(known(), [true, true, false, false, true]);
});

Deno.test("InterfaceWatcher.scan() tries an interface that refuses later again, and tells of it once", async () => {
  const { session, watcher, logger, clock } = setUp(["eth*"], ETH0, ETH1);
  session.refusals.set("eth0", "limit");
  const tries = () => session.calls.filter((call) => call === "attach eth0").length;
  for (const [nowMs, expected] of [[0, 1], [999, 1], [1000, 2], [2999, 2], [3000, 3], [3001, 3]]) {
    clock.nowMs = nowMs;
    await watcher.scan();
    assert.equal(tries(), expected, `at ${nowMs}`);
  }
  assert.deepEqual([...watcher.attached.keys()], [3]);
  assert.deepEqual(logger.lines, ["info interface_attached", "error attach_failed"]);
  assert.deepEqual(logger.fields[1], { interfaces: "eth0", count: 1, reason: "limit" });
  assert.equal(watcher.interface(2), undefined);

  session.refusals.clear();
  clock.nowMs = 7000;
  await watcher.scan();
  assert.deepEqual([...watcher.attached.keys()], [3, 2]);
});

Deno.test("InterfaceWatcher.scan() tries another interface with the index of one that refused at once", async () => {
  const { session, watcher } = setUp(["eth*"], ETH0, ETH1);
  session.refusals.set("eth0", "unsupported");
  await watcher.scan();
  session.links = [networkInterface("eth5", ETH0.index), ETH1];
  await watcher.scan();
  assert.deepEqual([...watcher.attached.keys()], [3, 2]);
});

Deno.test("InterfaceWatcher.scan() tells of many that refuse for one reason in one line", async () => {
  const links = Array.from({ length: 40 }, (_, i) => networkInterface(`veth${i}`, 10 + i));
  const { session, watcher, logger } = setUp(["*"], ETH0, ...links);
  links.forEach(({ name }, i) => session.refusals.set(name, i === 0 ? "permission" : "limit"));
  await watcher.scan();
  const failed = logger.fields.filter((_, i) => logger.lines[i] === "error attach_failed");
  assert.deepEqual(failed.map(({ reason, count }) => [reason, count]), [["permission", 1], ["limit", 39]]);
});

Deno.test("InterfaceWatcher.scan() rejects with the first error when no interface can be watched", async () => {
  const { session, watcher, logger } = setUp(["eth*"], ETH0, ETH1);
  session.refusals.set("eth0", "permission").set("eth1", "verifier");
  await assert.rejects(watcher.scan(), { name: "LoaderError", code: "permission" });
  assert.equal(logger.lines.filter((line) => line === "error attach_failed").length, 2);
});

Deno.test("InterfaceWatcher.scan() tells once that nothing matches, and again when all that matched is gone", async () => {
  const { session, watcher, logger } = setUp(["eth*"], LO);
  const warnings = () => logger.lines.filter((line) => line === "error no_interface_matches").length;
  await watcher.scan();
  await watcher.scan();
  assert.equal(warnings(), 1);
  session.links = [LO, ETH0];
  await watcher.scan();
  session.links = [LO];
  await watcher.scan();
  await watcher.scan();
  assert.equal(warnings(), 2);
});

Deno.test("InterfaceWatcher.run() scans when interfaces change, until it is stopped", async () => {
  const { session, watcher, clock } = setUp(["eth*"]);
  const running = watcher.run();
  await settled();
  session.links = [ETH0];
  session.endWatch("changed");
  await settled();
  assert.deepEqual([...watcher.attached.keys()], [2]);
  session.links = [];
  // Nothing told of it; the next look for no reason finds it.
  session.endWatch("timeout");
  await settled();
  assert.equal(watcher.attached.size, 0);
  assert.deepEqual(session.watches, [60_000, 60_000, 60_000]);
  assert.deepEqual(clock.slept, [100, 100]);
  watcher.stop();
  await running;
});

Deno.test("InterfaceWatcher.run() goes on after a look that failed, and comes back for those that refused", async () => {
  const { session, watcher, logger, clock } = setUp(["eth*"], ETH0);
  const running = watcher.run();
  session.failures.set("interfaces", new Error("boom"));
  await settled();
  session.endWatch("changed");
  await settled();
  assert.deepEqual(logger.lines, ["warn interface_scan_failed"]);
  session.failures.clear();
  session.refusals.set("eth0", "limit");
  session.endWatch("failed");
  await settled();
  assert.deepEqual(clock.slept, [1000, 1000]);
  assert.deepEqual(session.watches, [60_000, 60_000, 1000]);
  session.refusals.clear();
  clock.nowMs = 1000;
  session.endWatch("timeout");
  await settled();
  assert.deepEqual([...watcher.attached.keys()], [2]);
  watcher.stop();
  await running;
});

Deno.test("InterfaceWatcher.setPatterns() forgets what is no longer meant", async () => {
  const { session, watcher } = setUp(["eth0"], ETH0, ETH1);
  await watcher.scan();
  const running = watcher.run();
  await settled();
  watcher.setPatterns(["eth1"], true);
  await settled();
  assert.deepEqual([...watcher.attached.keys()], [3]);
  assert.deepEqual(session.calls, ["attach eth0", "forget 2", "attach eth1"]);
  watcher.stop();
  await running;
});
