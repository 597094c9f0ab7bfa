import { deepEqual, equal } from "node:assert/strict";
import { FakeClock, FakeLogger, flowSpan, settled } from "../testing.ts";
import { StdoutExporter, type StdoutExporterOptions } from "./stdout_exporter.ts";
import type { Writer } from "./writer.ts";

/** Takes `bytesPerWrite` at a time, fails with `error`, or hangs while `isStuck`. */
class FakeWriter implements Writer {
  text = "";
  writes = 0;
  bytesPerWrite = Infinity;
  error: Error | undefined;
  isStuck = false;

  async write(bytes: Uint8Array): Promise<number> {
    this.writes++;
    if (this.isStuck) await new Promise(() => {});
    if (this.error) throw this.error;
    const taken = bytes.subarray(0, this.bytesPerWrite);
    this.text += new TextDecoder("latin1").decode(taken);
    await Promise.resolve();
    return taken.length;
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

function setUp(change: Partial<StdoutExporterOptions> = {}) {
  const writer = new FakeWriter();
  const clock = new FakeClock();
  const logger = new FakeLogger();
  const exporter = new StdoutExporter({
    ...{ format: "text", writer, isTerminal: false, resource: { "host.name": "a" }, logger, clock },
    ...change,
  });
  const exportSome = (flows: number) => {
    for (let i = 0; i < flows; i++) exporter.export(flowSpan());
  };
  const { stats } = exporter;
  return { writer, clock, logger, exporter, exportSome, stats };
}

const isHeader = (line: string) => line.includes("TIME (UTC)");

Deno.test("StdoutExporter.export() writes flows of one tick together", async () => {
  const { writer, clock, exportSome, stats } = setUp();
  exportSome(3);
  await clock.advance(99);
  deepEqual([writer.writes, stats.queued], [0, 3]);
  await clock.advance(1);
  deepEqual([writer.writes, writer.lines.length, stats.delivered, stats.queued, stats.queuedBytes], [1, 4, 3, 0, 0]);
  exportSome(2);
  await clock.advance(100);
  deepEqual([writer.writes, writer.lines.length, stats.delivered], [2, 6, 5]);
});

Deno.test("StdoutExporter tells when flows are written or lost", async () => {
  const { writer, clock, exporter, exportSome, stats } = setUp();
  const seen: [queued: number, delivered: number, lost: number][] = [];
  exporter.onSettled = () => seen.push([stats.queued, stats.delivered, stats.lost.write_failed ?? 0]);
  exportSome(3);
  await clock.advance(100);
  writer.error = new Error("No space left on device");
  exportSome(2);
  await clock.advance(100);
  deepEqual(seen, [[0, 3, 0], [0, 3, 2]]);
});

Deno.test("StdoutExporter.export() does not wait for the tick with much text", async () => {
  const { writer, exportSome, stats } = setUp();
  exportSome(500);
  await settled();
  deepEqual([writer.writes > 0, stats.delivered > 0], [true, true]);
});

const HEADERS: [name: string, isTerminal: boolean, at: number[]][] = [
  ["once into a file", false, [0]],
  ["every 40 flows on a terminal", true, [0, 41, 82]],
];

for (const [name, isTerminal, at] of HEADERS) {
  Deno.test(`StdoutExporter.export() writes the header ${name}`, async () => {
    const { writer, clock, exportSome } = setUp({ isTerminal });
    exportSome(90);
    await clock.advance(100);
    deepEqual(writer.lines.flatMap((line, i) => isHeader(line) ? [i] : []), at);
  });
}

Deno.test("StdoutExporter goes on after a write that took only a part", async () => {
  const { writer, clock, exportSome, stats } = setUp();
  writer.bytesPerWrite = 7;
  exportSome(2);
  await clock.advance(100);
  deepEqual([writer.lines.length, stats.delivered], [3, 2]);
});

Deno.test("StdoutExporter ends its output, and nothing else, when the reader is gone", async () => {
  const { writer, clock, exportSome, stats, logger, exporter } = setUp();
  writer.error = new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
  exportSome(2);
  await clock.advance(100);
  exportSome(3);
  await clock.advance(100);
  deepEqual([stats.lost, stats.queued, writer.writes], [{ closed: 5 }, 0, 1]);
  deepEqual(logger.lines, ["warn stdout_closed"]);
  await exporter.flush(Infinity);
  await exporter.stop();
  deepEqual(stats.lost, { closed: 5 });
});

Deno.test("StdoutExporter tries again after another error, and says it once", async () => {
  const { writer, clock, exportSome, stats, logger } = setUp();
  writer.error = new Error("No space left on device (os error 28)");
  exportSome(2);
  await clock.advance(100);
  exportSome(1);
  await clock.advance(100);
  writer.error = undefined;
  exportSome(4);
  await clock.advance(100);
  deepEqual([stats.lost, stats.delivered], [{ write_failed: 3 }, 4]);
  deepEqual(logger.lines, ["warn stdout_failing"]);
});

Deno.test("StdoutExporter holds a bounded text for a reader that is slow", async () => {
  const { writer, clock, exportSome, stats, exporter, logger } = setUp();
  writer.isStuck = true;
  exportSome(10);
  await clock.advance(100);
  exportSome(60_000);
  equal(stats.queuedBytes < 9_000_000, true);
  equal(stats.accepted, stats.lost.queue_full + stats.queued);
  deepEqual(logger.lines, ["warn stdout_slow"]);
  await exporter.stop();
  deepEqual([stats.lost.queue_full + stats.lost.shutdown, stats.queued], [60_010, 0]);
});

Deno.test("StdoutExporter.flush() writes at once and resolves when all is written", async () => {
  const { writer, exporter, exportSome, stats, clock } = setUp();
  exportSome(2);
  await exporter.flush(Infinity);
  deepEqual([writer.lines.length, stats.delivered, clock.pendingTimers], [3, 2, 0]);
});

Deno.test("StdoutExporter.flush() resolves at its deadline when the reader hangs", async () => {
  const { writer, exporter, exportSome, stats, clock } = setUp();
  writer.isStuck = true;
  exportSome(2);
  let isFlushed = false;
  const flushed = exporter.flush(clock.now() + 500).then(() => isFlushed = true);
  await clock.advance(499);
  equal(isFlushed, false);
  await clock.advance(1);
  await flushed;
  equal(stats.queued, 2);
});

Deno.test("StdoutExporter.stop() counts what is not written as lost, and later flows too", async () => {
  const { exporter, exportSome, stats, clock } = setUp();
  exportSome(2);
  await exporter.stop();
  exportSome(1);
  await settled();
  deepEqual([stats.lost, stats.delivered, stats.queued, clock.pendingTimers], [{ shutdown: 3 }, 0, 0, 0]);
});

Deno.test("StdoutExporter.export() shows a terminal the header again when the columns move", async () => {
  const { writer, clock, exporter } = setUp({ isTerminal: true });
  const addresses = ["10.0.0.1", "2001:db8:1234:5678:9abc:def0:1234:5678", "10.0.0.1"];
  for (const sourceAddress of addresses) exporter.export(flowSpan({ sourceAddress }));
  await clock.advance(100);
  deepEqual(writer.lines.map(isHeader), [true, false, true, false, false]);
});

Deno.test("StdoutExporter.export() writes every format in whole lines", async () => {
  const lines = async (format: StdoutExporterOptions["format"]) => {
    const { writer, clock, exportSome, stats } = setUp({ format });
    exportSome(2);
    await clock.advance(100);
    equal(stats.delivered, 2);
    return writer.lines;
  };
  equal((await lines("text")).length, 3);
  deepEqual((await lines("json")).map((line) => JSON.parse(line).resource), Array(2).fill({ "host.name": "a" }));
  const indented = (await lines("json_indent")).join("\n").split(/(?<=^})\n/m);
  deepEqual(indented.map((object) => JSON.parse(object).name), ["flow_ipv4_tcp", "flow_ipv4_tcp"]);
  equal((await lines("text_indent")).filter((line) => !line.startsWith(" ")).length, 2);
});

Deno.test("StdoutExporter calls for an end, once, when its reader is gone", async () => {
  let calls = 0;
  const { writer, clock, exportSome } = setUp({ onClosed: () => ++calls > 0 });
  writer.error = new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
  for (let round = 0; round < 2; round++) {
    exportSome(2);
    await clock.advance(100);
  }
  equal(calls, 1);
});
