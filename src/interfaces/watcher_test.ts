import assert from "node:assert/strict";
import { FakeSession, networkInterface } from "../capture/testing.ts";
import { FakeLogger } from "../export/testing.ts";
import { InterfaceWatcher } from "./watcher.ts";

const LO = networkInterface("lo", 1, { addresses: ["127.0.0.1", "::1"] });
const ETH0 = networkInterface("eth0", 2, { addresses: ["10.0.0.1", "fe80::1"] });
const ETH1 = networkInterface("eth1", 3, { addresses: ["10.1.0.1"] });

function setUp(patterns: string[], ...links: typeof LO[]) {
  const session = new FakeSession();
  session.links = links;
  const logger = new FakeLogger();
  const clock = { nowMs: 0 };
  const watcher = new InterfaceWatcher({ patterns, session, logger, now: () => clock.nowMs });
  return { session, logger, clock, watcher };
}

Deno.test("InterfaceWatcher.scan() attaches once to what matches", () => {
  const { session, watcher, logger } = setUp(["eth*"], ETH1, LO, ETH0);
  watcher.scan();
  watcher.scan();
  assert.deepEqual(session.calls, ["attach eth0", "attach eth1"]);
  assert.deepEqual([...watcher.attached.keys()], [2, 3]);
  assert.deepEqual(watcher.attached.get(2), { name: "eth0", mac: ETH0.mac, mode: "tcx" });
  assert.deepEqual(logger.lines, ["info interface_attached", "info interface_attached"]);
});

Deno.test("InterfaceWatcher.scan() follows interfaces that come and go", () => {
  const { session, watcher, logger } = setUp(["eth*"], ETH0);
  watcher.scan();
  session.links = [ETH0, ETH1];
  watcher.scan();
  session.links = [ETH1];
  watcher.scan();
  // It came back: under the old name, with a new index.
  session.links = [ETH1, networkInterface("eth0", 7)];
  watcher.scan();
  assert.deepEqual(session.calls, ["attach eth0", "attach eth1", "forget 2", "attach eth0"]);
  assert.deepEqual([...watcher.attached.keys()], [3, 7]);
  assert.equal(logger.lines.filter((line) => line === "info interface_gone").length, 1);
});

Deno.test("InterfaceWatcher.interface() knows interfaces that went away, and none that was never meant", () => {
  const { session, watcher } = setUp(["eth*"], LO, ETH0);
  watcher.scan();
  session.links = [LO, ETH1];
  watcher.scan();
  assert.deepEqual([1, 2, 3, 4].map((index) => watcher.interface(index)?.name), [undefined, "eth0", "eth1", undefined]);
  assert.equal(watcher.interface(2)?.mac, ETH0.mac);
});

Deno.test("InterfaceWatcher.interface() forgets an interface ten minutes after it was first missed", () => {
  const { session, watcher, clock } = setUp(["eth*"], ETH0, ETH1);
  const known = () => [2, 3].filter((index) => watcher.interface(index) !== undefined);
  const steps: [afterMs: number, links: typeof LO[], known: number[]][] = [
    [0, [ETH0, ETH1], [2, 3]],
    [1_000_000, [ETH1], [2, 3]],
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
    watcher.scan();
    assert.deepEqual(known(), expected);
  }
});

Deno.test("InterfaceWatcher.isLocal() knows the addresses of all interfaces, as of the last scan", () => {
  const { session, watcher } = setUp(["eth0"], LO, ETH0);
  const known = () => ["127.0.0.1", "::1", "10.0.0.1", "fe80::1", "10.1.0.1"].map((each) => watcher.isLocal(each));
  assert.deepEqual(known(), [false, false, false, false, false]);
  watcher.scan();
  assert.deepEqual(known(), [true, true, true, true, false]);
  session.links = [LO, ETH1];
  watcher.scan();
  assert.deepEqual(known(), [true, true, false, false, true]);
});

Deno.test("InterfaceWatcher.scan() leaves an interface alone that refuses, until it is another one", () => {
  const { session, watcher, logger } = setUp(["eth*"], ETH0, ETH1);
  session.refusals.set("eth0", "unsupported");
  watcher.scan();
  watcher.scan();
  assert.deepEqual(session.calls, ["attach eth0", "attach eth1"]);
  assert.deepEqual([...watcher.attached.keys()], [3]);
  assert.deepEqual(logger.lines, ["error attach_failed", "info interface_attached"]);
  assert.deepEqual(logger.fields[0], { interface: "eth0" });

  session.refusals.clear();
  session.links = [ETH1];
  watcher.scan();
  session.links = [ETH0, ETH1];
  watcher.scan();
  assert.deepEqual([...watcher.attached.keys()], [3, 2]);
});

Deno.test("InterfaceWatcher.scan() throws the first error when no interface can be watched", () => {
  const { session, watcher, logger } = setUp(["eth*"], ETH0, ETH1);
  session.refusals.set("eth0", "permission").set("eth1", "verifier");
  assert.throws(() => watcher.scan(), { name: "LoaderError", code: "permission" });
  assert.equal(logger.lines.filter((line) => line === "error attach_failed").length, 2);
});

Deno.test("InterfaceWatcher.scan() tells once that nothing matches, and again when all that matched is gone", () => {
  const { session, watcher, logger } = setUp(["eth*"], LO);
  const warnings = () => logger.lines.filter((line) => line === "warn no_interface_matches").length;
  watcher.scan();
  watcher.scan();
  assert.equal(warnings(), 1);
  session.links = [LO, ETH0];
  watcher.scan();
  session.links = [LO];
  watcher.scan();
  watcher.scan();
  assert.equal(warnings(), 2);
});
