import assert from "node:assert/strict";
import { FakeSession } from "./capture/testing.ts";
import { FakeExporter, FakeLogger, withFastClock } from "./export/testing.ts";
import { SpanBuilder } from "./flow/span_builder.ts";
import { recordValues } from "./flow/testing.ts";
import { Producer } from "./producer.ts";
import { shutDown, type ShutdownParts } from "./shutdown.ts";

/** A producer of four records a read on a fake kernel with `flows` open flows. */
function setUp(flows: number, exporters: FakeExporter[]) {
  const session = new FakeSession(4);
  session.due.push(Array.from({ length: flows }, (_, i) => recordValues({ slot: i })));
  const builder = new SpanBuilder({
    seed: 0,
    traceIdTimeoutMs: 1000,
    capacity: 16,
    host: { interface: () => undefined, isLocal: () => false },
  });
  const limits = {
    ...{ activeMs: 1, genericIdleMs: 1, icmpIdleMs: 1, tcpIdleMs: 1, tcpFinMs: 1, tcpRstMs: 1, udpIdleMs: 1 },
    ...{ highWater: 12, lowWater: 9 },
  };
  const options = { session, builder, exporters, limits, intervalMs: 1, maxWaitingSpans: 4 };
  const producer = new Producer({ ...options, onSwept: () => {} });
  const logger = new FakeLogger();
  const run = (change: Partial<ShutdownParts>) =>
    shutDown({
      ...{
        timeoutMs: 100_000,
        session,
        watcher: undefined,
        producer,
        running: Promise.resolve(),
        exporters,
        keep: false,
        logger,
      },
      ...change,
    });
  return { session, logger, run };
}

/** Never takes more than it has: its queue stays full, and what it holds at the stop is lost. */
function stuck(): FakeExporter {
  const exporter: FakeExporter = new FakeExporter(() => exporter.stats.lost.shutdown ? 0 : 1 + exporter.ports.length);
  exporter.instead.set("stop", () => {
    exporter.stats.lost.shutdown = exporter.ports.length;
    return Promise.resolve();
  });
  return exporter;
}

Deno.test("shutDown() loses nothing while the exporters deliver", async () => {
  for (const keep of [false, true]) {
    const exporter = new FakeExporter();
    const { session, run } = setUp(9, [exporter]);
    const { seconds, ...result } = await run({ keep });
    assert.deepEqual(result, { timedOut: false, preserved: 0, lost: 0, failures: [] });
    assert.ok(seconds >= 0);
    assert.equal(exporter.ports.length, 9);
    assert.equal(session.calls.at(-1), keep ? "close keep" : "close");
  }
});

Deno.test("shutDown() leaves to a successor what the exporters do not take in time", async () => {
  const exporter = stuck();
  const { session, run } = setUp(9, [exporter]);
  session.table.used = 9;
  await withFastClock(500, async () => {
    const { seconds: _, ...result } = await run({ keep: true });
    assert.deepEqual(result, { timedOut: true, preserved: 9, lost: 0, failures: [] });
  });
  assert.equal(exporter.ports.length, 0);
});

Deno.test("shutDown() counts as lost what is not delivered when there is no successor", async () => {
  const [slow, fast] = [stuck(), new FakeExporter(() => 0, "stdout")];
  slow.stats.lost.queue_full = 100; // Before the stop.
  const { run } = setUp(9, [slow, fast]);
  await withFastClock(500, async () => {
    const { seconds: _, ...result } = await run({ keep: false });
    assert.deepEqual(result, { timedOut: true, preserved: 0, lost: 9, failures: [] });
  });
  assert.equal(fast.ports.length, 9);
});

Deno.test("shutDown() counts what a failed sweep leaves behind", async () => {
  for (const keep of [false, true]) {
    const { session, run } = setUp(9, [new FakeExporter()]);
    session.table.used = 9;
    session.sweepError = new Error("no sweep");
    const { preserved, lost, failures } = await run({ keep });
    assert.deepEqual([preserved, lost], keep ? [9, 0] : [0, 9]);
    assert.deepEqual(failures, ["close the open flows: no sweep"]);
  }
});

Deno.test("shutDown() after a start that did not come to flows only lets go", async () => {
  const exporter = new FakeExporter();
  const { session, logger, run } = setUp(9, [exporter]);
  session.table.used = 9;
  const { preserved, lost } = await run({ producer: undefined, keep: true });
  assert.deepEqual([preserved, lost], [0, 0]);
  assert.deepEqual(session.calls, ["close keep"]);
  assert.deepEqual(logger.lines, []);
});
