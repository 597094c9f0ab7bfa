/** The loader by itself: what it finds in the kernel and in its pins, and what becomes of it. */

import assert from "node:assert/strict";
import { type CaptureSession, FlowRecords, LoaderError } from "../../src/capture/mod.ts";
import { prepareBpffs } from "../harness/agent.ts";
import { type End, Network, uniqueName } from "../harness/netns.ts";
import { PIN_ROOT } from "../harness/programs.ts";
import { run } from "../harness/process.ts";
import { Traffic } from "../harness/traffic.ts";
import { builtLoader, NOTHING_DUE, sessionOptions } from "./session.ts";

const PORT = 7000;
const UDP = 17;
/** Ends all flows and returns the UDP packets in their records. */
async function drain(session: CaptureSession): Promise<number> {
  const records = new FlowRecords(session.records);
  let packets = 0;
  await session.sweep({ ...NOTHING_DUE, force: true });
  for (let count = session.read(); count > 0; count = session.read()) {
    for (let i = 0; i < count; i++) {
      records.seek(i);
      if (records.protocol === UDP) packets += records.packetsDelta(0) + records.packetsDelta(1);
    }
  }
  return packets;
}

function blast(traffic: Traffic, from: End, to: End, packets: number): Promise<unknown> {
  const options = { to: to.ipv4, port: PORT, "source-port": 20_000, threads: 1, flows: 1, packets };
  return traffic.blast(from.namespace, options);
}

Deno.test("forget() ends the flows of an interface that is gone: another one counts the rest", async () => {
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  const { session } = builtLoader().open(sessionOptions(left));
  try {
    const { index } = session.attach(left.interfaceName);
    await blast(traffic, left, right, 1000);
    // The same addresses on another interface.
    const { namespace } = left;
    await namespace.run(["ip", "link", "add", "other", "type", "veth", "peer", "name", "far"]);
    for (const name of ["other", "far"]) await namespace.run(["ip", "link", "set", name, "up"]);
    session.forget(index);
    session.attach("other");
    await namespace.run(["ip", "route", "replace", `${right.ipv4}/32`, "dev", "other"]);
    await namespace.run(["ip", "neigh", "add", right.ipv4, "lladdr", "02:00:00:00:00:99", "dev", "other"]);
    await blast(traffic, left, right, 500);
    assert.equal(await drain(session), 1500);
  } finally {
    session.close(false);
  }
});

Deno.test("open() makes a table anew that an agent did not live to finish, whatever its size", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const { left } = network;
  for (const map of ["FLOW_EXPORTED", "FREE_SLOTS", "TABLE_STATE"]) {
    const instance = uniqueName("i");
    const pinned = sessionOptions(left, { pinRoot: PIN_ROOT, instance, flowCapacity: 64 });
    const { session, report } = builtLoader().open(pinned);
    assert.deepEqual([report.pinned, report.reused, report.capacity], [true, false, 64]);
    session.close(true);
    const found = await run(["find", `${PIN_ROOT}/${instance}`, "-mindepth", "2", "!", "-name", map]);
    for (const path of found.trim().split("\n")) await run(["rm", path]);
    const again = builtLoader().open({ ...pinned, flowCapacity: 128 });
    assert.deepEqual([again.report.pinned, again.report.reused, again.report.capacity], [true, false, 128], map);
    assert.equal(again.session.counters().used, 0);
    again.session.close(false);
  }
});

Deno.test("open() keeps the size of a table that it takes over", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const pinned = sessionOptions(network.left, { pinRoot: PIN_ROOT, instance: uniqueName("i"), flowCapacity: 64 });
  builtLoader().open(pinned).session.close(true);
  const { session, report } = builtLoader().open({ ...pinned, flowCapacity: 128 });
  assert.deepEqual([report.pinned, report.reused, report.capacity], [true, true, 64]);
  session.close(false);
});

Deno.test("a closed session answers with an error, also when there is a newer one", async () => {
  await using network = await Network.create();
  const first = builtLoader().open(sessionOptions(network.left)).session;
  first.close(false);
  const { session } = builtLoader().open(sessionOptions(network.left));
  try {
    assert.throws(() => first.counters(), LoaderError);
    await assert.rejects(() => first.sweep(NOTHING_DUE), LoaderError);
    assert.equal(session.counters().used, 0);
  } finally {
    session.close(false);
  }
});

Deno.test("attach() replaces what was left on the hook in the other mode before it counts twice", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  const pinned = sessionOptions(left, { pinRoot: PIN_ROOT, instance: uniqueName("i") });
  const clsact = builtLoader().open({ ...pinned, attach: { ...pinned.attach, mode: "clsact" } }).session;
  clsact.attach(left.interfaceName);
  clsact.close(true);
  const { session } = builtLoader().open(pinned);
  try {
    session.attach(left.interfaceName);
    await blast(traffic, left, right, 100);
    session.prune();
    assert.equal(await drain(session), 100);
  } finally {
    session.close(false);
  }
});
