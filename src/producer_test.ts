import assert from "node:assert/strict";
import { LoaderError } from "./capture/mod.ts";
import { FakeSession } from "./capture/testing.ts";
import { FakeExporter, settled, withFastClock } from "./export/testing.ts";
import { SpanBuilder } from "./flow/span_builder.ts";
import { type RecordValues, recordValues } from "./flow/testing.ts";
import { Producer } from "./producer.ts";

const LIMITS = {
  activeMs: 60_000,
  genericIdleMs: 30_000,
  icmpIdleMs: 10_000,
  tcpIdleMs: 20_000,
  tcpFinMs: 5000,
  tcpRstMs: 4000,
  udpIdleMs: 59_000,
  highWater: 12,
  lowWater: 9,
};

function setUp(exporters = [new FakeExporter()], maxWaitingSpans = 100) {
  const session = new FakeSession(4);
  const builder = new SpanBuilder({
    seed: 0,
    traceIdTimeoutMs: 86_400_000,
    capacity: 16,
    host: { interface: () => undefined, isLocal: () => false },
  });
  const producer = new Producer({
    ...{ session, builder, exporters, maxWaitingSpans },
    limits: LIMITS,
    intervalMs: 5000,
  });
  return { session, exporters, producer };
}

/** Records of `count` flows; the source ports are 1001, 1002, … from `first` on. */
function flows(count: number, first = 1): RecordValues[] {
  return Array.from(
    { length: count },
    (_, i) => recordValues({ slot: i, ports: [443, 1000 + first + i], packetsDelta: [2, 3] }),
  );
}

const portsUpTo = (count: number) => Array.from({ length: count }, (_, i) => 1001 + i);

Deno.test("Producer.sweep() hands every record to every exporter, over as many reads as it takes", async (t) => {
  // Four records fit into one read.
  const cases: [records: number, reads: string[]][] = [
    [0, ["read 0"]],
    [3, ["read 3"]],
    [4, ["read 4", "read 0"]],
    [9, ["read 4", "read 4", "read 1"]],
  ];
  for (const [records, reads] of cases) {
    await t.step(`${records} records`, async () => {
      const { session, exporters, producer } = setUp([new FakeExporter(), new FakeExporter()]);
      session.due.push(flows(records));
      assert.equal(await producer.sweep(false), records);
      assert.deepEqual(session.calls, ["sweep", ...reads]);
      for (const { ports } of exporters) assert.deepEqual(ports, portsUpTo(records));
      const { spans, packets, sweeps } = producer.stats;
      assert.deepEqual({ spans, packets, sweeps }, { spans: records, packets: 5 * records, sweeps: 1 });
    });
  }
});

Deno.test("Producer.sweep() gives the loader its limits", async () => {
  const { session, producer } = setUp();
  await producer.sweep(false);
  await producer.sweep(true);
  assert.deepEqual(session.sweeps[0], { ...LIMITS, force: false });
  assert.deepEqual(session.sweeps.at(-1), { ...LIMITS, force: true });
});

Deno.test("Producer.sweep() with force also takes what an earlier sweep left behind", async () => {
  const { session, exporters, producer } = setUp();
  session.due.push(flows(2));
  // Another sweep found these and did not come to read them.
  await session.sweep({ ...LIMITS, force: false });
  session.due.push(flows(3, 3));
  assert.equal(await producer.sweep(true), 5);
  assert.deepEqual(exporters[0].ports, portsUpTo(5));
});

Deno.test("Producer.sweep() leaves records in the kernel while an exporter is behind", async () => {
  // 97 waiting and one read of 4 are more than 100.
  const waiting = [97, 97, 97, 96];
  const seen: number[] = [];
  let session: FakeSession | undefined = undefined;
  const slow = new FakeExporter(() => {
    seen.push(session!.calls.filter((call) => call.startsWith("read")).length);
    return waiting.shift() ?? 0;
  });
  const made = setUp([new FakeExporter(), slow]);
  session = made.session;
  session.due.push(flows(1));
  assert.equal(await made.producer.sweep(false), 1);
  assert.deepEqual(seen, [0, 0, 0, 0]);
});

Deno.test("Producer.sweep() does not wait for ever for an exporter", async () => {
  const { session, producer } = setUp([new FakeExporter(() => 1_000_000)]);
  session.due.push(flows(9));
  await withFastClock(400, async () => {
    assert.equal(await producer.sweep(false), 9);
  });
});

Deno.test("Producer.sweep() waits for an exporter until the time that it is told", async (t) => {
  const cases: [name: string, untilMs: number | undefined, isSlowForMs: number, isBehind: boolean][] = [
    ["a second, unless told", undefined, 4000, true],
    ["as long as it is told", 20_000, 4000, false],
    ["and no longer", 20_000, 1_000_000, true],
  ];
  for (const [name, untilMs, isSlowForMs, expected] of cases) {
    await t.step(name, async () => {
      let [isBehind, wasBehind] = [false, false];
      const exporter = new FakeExporter(() => {
        isBehind = performance.now() < isSlowForMs;
        return isBehind ? 1_000_000 : 0;
      });
      exporter.onExport = () => wasBehind ||= isBehind;
      const { session, producer } = setUp([exporter]);
      session.due.push(flows(9));
      await withFastClock(400, async () => assert.equal(await producer.sweep(true, untilMs), 9));
      assert.equal(wasBehind, expected);
    });
  }
});

Deno.test("Producer.run() sweeps after every wait, until stop()", async () => {
  const { session, producer } = setUp();
  const running = producer.run();
  session.due.push(flows(1), [], flows(1));
  for (const result of ["timeout", "full", "timeout"] as const) {
    const waits = () => session.calls.filter((call) => call === "wait 5000").length;
    const before = waits();
    session.endWait(result);
    while (waits() === before) await settled();
  }
  assert.deepEqual({ ...producer.stats, aliveAtMs: 0 }, { spans: 2, packets: 10, sweeps: 3, wakeups: 1, aliveAtMs: 0 });
  assert.ok(producer.stats.aliveAtMs > 0);
  producer.stop();
  await running;
  assert.equal(producer.stats.sweeps, 3, "no sweep after stop()");
});

Deno.test("Producer.run() ends at once when stop() came first", async () => {
  const { session, producer } = setUp();
  producer.stop();
  await producer.run();
  assert.deepEqual(session.calls, []);
});

Deno.test("Producer.run() rejects when the kernel side fails", async () => {
  const { session, producer } = setUp();
  session.sweepError = new LoaderError("system", "map operation failed");
  const running = producer.run();
  session.endWait("timeout");
  await assert.rejects(running, { name: "LoaderError", message: "map operation failed" });
});
