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
    onSwept: () => {},
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
      assert.equal(await producer.sweep(), records);
      assert.deepEqual(session.calls, ["sweep", ...reads]);
      for (const { ports } of exporters) assert.deepEqual(ports, portsUpTo(records));
      const { spans, sweeps } = producer.stats;
      assert.deepEqual({ spans, sweeps }, { spans: records, sweeps: 1 });
    });
  }
});

Deno.test("Producer.sweep() gives the loader its limits", async () => {
  const { session, producer } = setUp();
  await producer.sweep();
  await producer.close(0, false);
  assert.deepEqual(session.sweeps[0], { ...LIMITS, force: false });
  assert.deepEqual(session.sweeps.at(-1), { ...LIMITS, force: true });
});

Deno.test("Producer.close() also takes what an earlier sweep left behind", async () => {
  const { session, exporters, producer } = setUp();
  session.due.push(flows(2));
  // Another sweep found these and did not come to read them.
  await session.sweep({ ...LIMITS, force: false });
  session.due.push(flows(3, 3));
  assert.deepEqual(await producer.close(0, false), { spans: 5, isComplete: true });
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
  assert.equal(await made.producer.sweep(), 1);
  // The last look is to tell the loader what waits.
  assert.deepEqual(seen, [0, 0, 0, 0, 1]);
});

Deno.test("Producer.sweep() does not wait for ever for an exporter", async () => {
  const { session, producer } = setUp([new FakeExporter(() => 1_000_000)]);
  session.due.push(flows(9));
  await withFastClock(400, async () => {
    assert.equal(await producer.sweep(), 9);
  });
});

Deno.test("Producer.sweep() waits a second for an exporter, close() until the time that it is told", async (t) => {
  const cases: [
    name: string,
    untilMs: number | undefined,
    leavesRest: boolean,
    isSlowForMs: number,
    exported: number,
  ][] = [
    ["a second, unless told", undefined, false, 4000, 9],
    ["as long as it is told", 20_000, false, 4000, 9],
    ["and no longer", 20_000, false, 1_000_000, 9],
    ["as long as it is told, to leave the rest", 20_000, true, 4000, 9],
    ["and no longer: the rest stays", 20_000, true, 1_000_000, 0],
  ];
  for (const [name, untilMs, leavesRest, isSlowForMs, exported] of cases) {
    await t.step(name, async () => {
      let [isBehind, wasBehind] = [false, false];
      const exporter = new FakeExporter(() => {
        isBehind = performance.now() < isSlowForMs;
        return isBehind ? 1_000_000 : 0;
      });
      exporter.onExport = () => wasBehind ||= isBehind;
      const { session, producer } = setUp([exporter]);
      session.due.push(flows(9));
      await withFastClock(400, async () => {
        if (untilMs === undefined) assert.equal(await producer.sweep(), exported);
        else {
          const isComplete = exported === 9;
          assert.deepEqual(await producer.close(untilMs, leavesRest), { spans: exported, isComplete });
        }
      });
      assert.equal(exporter.ports.length, exported);
      assert.equal(wasBehind, exported > 0 && isSlowForMs > (untilMs ?? 1000));
    });
  }
});

Deno.test("Producer.sweep() books what the filter drops, by hook, and exports the rest", async () => {
  const { session, exporters, producer } = setUp();
  // Four records fit into one read; sources are 443, destinations 1001 to 1006.
  producer.filter = ({ sourcePort, destinationPort }) =>
    Math.min(sourcePort, destinationPort) === 443 &&
    Math.max(sourcePort, destinationPort) > 1004;
  const records = flows(6).map((values, i) => ({ ...values, hook: (i < 3 ? [4, 5] : [6, 6]) as [number, number] }));
  session.due.push([
    ...records,
    ...flows(1, 1).map((values) => ({ ...values, packetsDelta: [7, 0] as [number, number] })),
  ]);
  assert.equal(await producer.sweep(), 2);
  assert.deepEqual(exporters[0].ports.toSorted(), [1005, 1006]);
  const { records: read, spans, filtered } = producer.stats;
  assert.deepEqual({ read, spans, filtered }, { read: 7, spans: 2, filtered: 5 });
  assert.deepEqual([...session.filtered].toSorted(), [[4, 2 * 3 + 7], [5, 3 * 3], [6, 2 + 3]]);
});

Deno.test("Producer tells the loader how many records are done with", async (t) => {
  for (
    const { name, queued, settled } of [
      { name: "not those that wait for the slower exporter", queued: [3, 5], settled: 1 },
      { name: "all without an exporter", queued: [], settled: 6 },
    ]
  ) {
    await t.step(name, async () => {
      const { session, producer } = setUp(queued.map((count) => new FakeExporter(() => count)));
      session.due.push(flows(6));
      await producer.sweep();
      assert.equal(session.recordsSettled, settled);
    });
  }
  await t.step("again when some were delivered", async () => {
    let queued = 3;
    const exporter = new FakeExporter(() => queued);
    const { session, producer } = setUp([exporter]);
    session.due.push(flows(3));
    await producer.sweep();
    producer.stop();
    await producer.run();
    for (queued of [2, 0]) {
      exporter.onSettled?.();
      assert.equal(session.recordsSettled, 3 - queued);
    }
  });
});

Deno.test("Producer takes another filter while it runs", async () => {
  const { session, exporters, producer } = setUp();
  producer.filter = () => false;
  session.due.push(flows(2), flows(3));
  await producer.sweep();
  producer.filter = () => true;
  await producer.sweep();
  assert.deepEqual(exporters[0].ports, portsUpTo(3));
  assert.deepEqual([producer.stats.spans, producer.stats.filtered], [3, 2]);
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
  const { aliveAtMs, ...counts } = producer.stats;
  assert.deepEqual(counts, { spans: 2, filtered: 0, sweeps: 3, records: 2, unread: 0, wakeups: 1 });
  assert.ok(aliveAtMs > 0);
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
