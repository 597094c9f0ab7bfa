import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { FlowSpan } from "../flow/span.ts";
import { ReplaceableExporter } from "./replaceable_exporter.ts";
import { FakeExporter, FakeLogger, settled } from "./testing.ts";

const span = (sourcePort: number) => ({ sourcePort }) as FlowSpan;

/** An exporter whose flush ends when it is told. */
function slow(queued: number) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const state = { queued };
  const exporter = new FakeExporter(() => state.queued);
  exporter.instead.set("flush", () => promise);
  const finish = (delivered: number, lost: number) => {
    state.queued = 0;
    exporter.stats.delivered += delivered;
    exporter.stats.lost.shutdown = lost;
    resolve();
  };
  return { exporter, finish };
}

Deno.test("ReplaceableExporter hands the next span to the new exporter and lets the old one send what it holds", async () => {
  const { exporter: old, finish } = slow(3);
  const logger = new FakeLogger();
  const both = new ReplaceableExporter(old, logger);
  both.export(span(1));
  const next = new FakeExporter(() => 1);
  both.replace(next, 1000);
  both.export(span(2));
  deepStrictEqual([old.ports, next.ports], [[1], [2]]);
  deepStrictEqual([both.stats.accepted, both.stats.queued, both.backlog], [2, 4, 1]);
  strictEqual(old.calls.includes("stop otlp"), false);
  finish(2, 1);
  await settled();
  strictEqual(old.calls.includes("stop otlp"), true);
  next.stats.delivered = 5;
  deepStrictEqual([both.stats.delivered, both.stats.lost, both.stats.queued], [7, { shutdown: 1 }, 1]);
  deepStrictEqual(logger.lines, ["info exporter_stopped"]);
});

Deno.test("ReplaceableExporter tells when spans of any of its exporters are settled", async () => {
  const { exporter: old, finish } = slow(3);
  const both = new ReplaceableExporter(old, new FakeLogger());
  const seen: number[] = [];
  both.onSettled = () => seen.push(both.stats.queued);
  old.onSettled?.();
  const next = new FakeExporter(() => 1);
  both.replace(next, 1000);
  next.onSettled?.();
  // What it gives up at its end is settled too.
  finish(2, 1);
  await settled();
  deepStrictEqual(seen, [3, 4, 1]);
});

Deno.test("ReplaceableExporter without a successor counts what the old one does, and holds nobody up", async () => {
  const { exporter: old, finish } = slow(3);
  const gone = new ReplaceableExporter(old, new FakeLogger());
  strictEqual(gone.isInUse, true);
  gone.replace(undefined, 1000);
  strictEqual(gone.isInUse, false);
  gone.export(span(1));
  deepStrictEqual([gone.backlog, gone.stats.queued, old.ports], [0, 3, []]);
  finish(3, 0);
  await settled();
  strictEqual(gone.stats.delivered, 3);
});

Deno.test("ReplaceableExporter.stop() ends also an old exporter that still sends", async () => {
  const { exporter: old, finish } = slow(3);
  old.instead.set("stop", () => Promise.resolve(finish(0, 3)));
  const both = new ReplaceableExporter(old, new FakeLogger());
  both.replace(new FakeExporter(), 1000);
  await both.stop();
  deepStrictEqual(both.stats.lost, { shutdown: 3 });
});

Deno.test("ReplaceableExporter has the problem of the exporter of today", () => {
  const [old, next] = [new FakeExporter(), new FakeExporter()];
  old.stats.problem = "network: refused";
  const both = new ReplaceableExporter(old, new FakeLogger());
  strictEqual(both.stats.problem, "network: refused");
  both.replace(next, 1000);
  strictEqual(both.stats.problem, undefined);
});

Deno.test("ReplaceableExporter keeps two old exporters that hang, and no more", async () => {
  const old = [slow(1), slow(1), slow(1)];
  for (const { exporter, finish } of old) exporter.instead.set("stop", () => Promise.resolve(finish(0, 1)));
  const all = new ReplaceableExporter(old[0].exporter, new FakeLogger());
  for (const next of [old[1].exporter, old[2].exporter, new FakeExporter()]) all.replace(next, 60_000);
  await settled();
  deepStrictEqual(old.map(({ exporter }) => exporter.calls.includes("stop otlp")), [true, false, false]);
  deepStrictEqual([all.stats.queued, all.stats.lost], [2, { shutdown: 1 }]);
  await all.stop();
  deepStrictEqual([all.stats.queued, all.stats.lost], [0, { shutdown: 3 }]);
});
