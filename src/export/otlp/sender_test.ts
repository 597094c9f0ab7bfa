import { deepEqual, equal, ok } from "node:assert/strict";
import { ExportLog } from "./export_log.ts";
import { BatchQueue, type RequestFormat } from "./queue.ts";
import { backoffMs, Sender, type SenderLimits } from "./sender.ts";
import { createMeasures, FakeClock, FakeLogger, seededRandom, settled } from "../testing.ts";
import { FakeTransport } from "./testing.ts";
import type { SendResult } from "./transport.ts";

const CHARACTERS: RequestFormat<string> = {
  begin: (writer) => writer.reset(),
  add: (writer, item) => writer.raw(new TextEncoder().encode(item)),
  finish: (writer) => writer.view(),
};
const DELIVERED: SendResult = { kind: "delivered", rejectedSpans: 0, message: "" };
const AWAY: SendResult = { kind: "retry", code: "network", message: "connection refused" };
const REFUSED: SendResult = { kind: "refused", code: "http_400", message: "bad data" };

interface Limits extends SenderLimits {
  maxBatchSize: number;
  maxQueueSize: number;
}

function setUp(change: Partial<Limits> = {}, reply?: SendResult) {
  const limits = {
    maxBatchSize: 2,
    maxQueueSize: 8,
    maxBatchIntervalMs: 5000,
    maxConcurrentExports: 1,
    timeoutMs: 10_000,
    maxExportTimeoutMs: 10_000,
    ...change,
  };
  const clock = new FakeClock();
  const logger = new FakeLogger();
  const transport = new FakeTransport(reply);
  const queue = new BatchQueue(CHARACTERS, { ...limits, maxSpareBuffers: 2 });
  const log = new ExportLog(logger, "http://collector:4317", clock);
  const measures = createMeasures();
  const sender = new Sender({ queue, transport, limits, log, measures, clock, random: () => 0.5 });
  const push = (items: string) => [...items].forEach((item) => sender.push(item));
  const sent = () => transport.requests.map((request) => new TextDecoder().decode(request.body));
  const answer = async (result: SendResult) => {
    const [oldest] = transport.pending;
    oldest.answer(result);
    await settled();
  };
  return { clock, logger, transport, sender, measures, stats: sender.stats, push, sent, answer };
}

Deno.test("Sender.push() sends a full batch at once", () => {
  const { push, sent } = setUp();
  push("abc");
  deepEqual(sent(), ["ab"]);
});

Deno.test("Sender.push() sends a part of a batch when the interval since its first span is over", async () => {
  const { push, sent, clock } = setUp();
  push("abc");
  await clock.advance(3000);
  push("d");
  push("e");
  await clock.advance(4999);
  deepEqual(sent(), ["ab"]);
  const next = setUp({}, DELIVERED);
  next.push("abc");
  await next.clock.advance(4999);
  deepEqual(next.sent(), ["ab"]);
  await next.clock.advance(1);
  deepEqual(next.sent(), ["ab", "c"]);
});

Deno.test("Sender.push() goes on filling a batch that is due but has to wait for its turn", async () => {
  const { push, sent, clock, answer } = setUp({ maxBatchSize: 3 });
  push("abc");
  push("d");
  await clock.advance(5000);
  push("e");
  await answer(DELIVERED);
  deepEqual(sent(), ["abc", "de"]);
});

Deno.test("Sender.push() keeps as many requests in flight as are allowed", async () => {
  const { push, sent, answer } = setUp({ maxConcurrentExports: 2 });
  push("abcdef");
  deepEqual(sent(), ["ab", "cd"]);
  await answer(DELIVERED);
  deepEqual(sent(), ["ab", "cd", "ef"]);
});

Deno.test("Sender.push() counts whole batches that a full queue loses, the oldest first", async () => {
  const { push, sent, stats, logger, answer } = setUp();
  push("abcdefghi");
  equal(stats.lost.queue_full, 2);
  equal(stats.queued, 7);
  await answer(DELIVERED);
  deepEqual(sent(), ["ab", "ef"]);
  deepEqual(logger.lines, ["warn export_queue_full"]);
});

Deno.test("Sender tells when spans have left the queue", async () => {
  const { push, sender, stats, answer } = setUp({ maxExportTimeoutMs: 0 });
  const seen: number[] = [];
  sender.onSettled = () => seen.push(stats.queued);
  push("abcdef");
  for (const result of [DELIVERED, REFUSED]) await answer(result);
  deepEqual(seen, [4, 2]);
  // What is tried again is still there.
  await answer(AWAY);
  deepEqual([seen.length, stats.queued], [2, 2]);
});

const RESULTS: [name: string, result: SendResult, delivered: number, lost: Record<string, number>][] = [
  ["delivered", DELIVERED, 2, {}],
  ["a partial success", { ...DELIVERED, rejectedSpans: 1, message: "too long" }, 1, { rejected: 1 }],
  ["more rejected than sent", { ...DELIVERED, rejectedSpans: 9, message: "odd" }, 0, { rejected: 2 }],
  ["a remark without a rejection", { ...DELIVERED, message: "slow down" }, 2, {}],
  ["refused", REFUSED, 0, { refused: 2 }],
];

for (const [name, result, delivered, lost] of RESULTS) {
  Deno.test(`Sender counts the spans of a request that was ${name}`, async () => {
    const { push, stats } = setUp({}, result);
    push("ab");
    await settled();
    deepEqual({ delivered: stats.delivered, lost: stats.lost }, { delivered, lost });
    deepEqual([stats.accepted, stats.queued, stats.queuedBytes, stats.requests], [2, 0, 0, 1]);
  });
}

Deno.test("Sender tries again with growing pauses, then delivers, and says both once", async () => {
  const { push, stats, clock, transport, logger } = setUp({ maxExportTimeoutMs: 60_000 }, AWAY);
  push("ab");
  const countAfter = async (ms: number) => {
    await clock.advance(ms);
    return stats.requests;
  };
  deepEqual([await countAfter(0), await countAfter(499), await countAfter(1)], [1, 1, 2]);
  deepEqual([await countAfter(999), await countAfter(1)], [2, 3]);
  transport.reply = DELIVERED;
  equal(await countAfter(2000), 4);
  deepEqual([stats.delivered, stats.retries, stats.queued], [2, 3, 0]);
  deepEqual(logger.lines, ["error export_failing", "info export_recovered"]);
});

Deno.test("Sender returns a batch to the head of the queue when its time is over", async () => {
  const { push, stats, clock, sent, transport } = setUp({ maxExportTimeoutMs: 1000 }, AWAY);
  push("abcd");
  await clock.advance(30_000);
  ok(sent().length > 5);
  deepEqual(new Set(sent()), new Set(["ab"]));
  equal(stats.queued, 4);
  transport.reply = DELIVERED;
  await clock.advance(10_000);
  deepEqual(sent().slice(-2), ["ab", "cd"]);
  deepEqual([stats.delivered, stats.lost], [4, {}]);
});

const DROPS: [name: string, maxExportTimeoutMs: number, left: string[]][] = [
  ["keeps the batch in hand while its time runs", 60_000, ["ab", "gh", "ij", "k"]],
  ["drops a batch that is back in the queue as the oldest", 1000, ["ef", "gh", "ij", "k"]],
];

for (const [name, maxExportTimeoutMs, left] of DROPS) {
  Deno.test(`Sender ${name}`, async () => {
    const { push, stats, clock, sent, transport } = setUp({ maxExportTimeoutMs }, AWAY);
    push("ab");
    await clock.advance(10_000);
    push("cdefghijk");
    deepEqual(stats.lost, { queue_full: 4 });
    transport.reply = DELIVERED;
    await clock.advance(10_000);
    deepEqual(sent().slice(-4), left);
    deepEqual([stats.delivered, stats.queued], [7, 0]);
  });
}

Deno.test("Sender waits as long as the collector asks for", async () => {
  const { push, stats, clock } = setUp({}, { ...AWAY, retryAfterMs: 30_000 });
  push("ab");
  await clock.advance(29_999);
  equal(stats.requests, 1);
  await clock.advance(1);
  equal(stats.requests, 2);
});

Deno.test("Sender ends a request without an answer after the timeout", async () => {
  const { push, stats, clock, transport } = setUp({ timeoutMs: 2000 });
  push("ab");
  await clock.advance(1999);
  equal(transport.requests[0].signal.aborted, false);
  await clock.advance(1);
  equal(transport.requests[0].signal.aborted, true);
  await clock.advance(1000);
  deepEqual([stats.requests, stats.queued], [2, 2]);
});

Deno.test("Sender.flush() resolves when all before it is settled, also a part of a batch", async () => {
  const { push, sender, answer, sent, stats } = setUp();
  push("abc");
  let isFlushed = false;
  const flushed = sender.flush(Infinity).then(() => isFlushed = true);
  push("d");
  await answer(DELIVERED);
  equal(isFlushed, false);
  await answer(DELIVERED);
  await flushed;
  deepEqual(sent(), ["ab", "c"]);
  deepEqual([stats.delivered, stats.queued], [3, 1]);
});

Deno.test("Sender.flush() resolves at its deadline", async () => {
  const { push, sender, clock, stats } = setUp({}, AWAY);
  push("abc");
  let isFlushed = false;
  const flushed = sender.flush(clock.now() + 3000).then(() => isFlushed = true);
  await clock.advance(2999);
  equal(isFlushed, false);
  await clock.advance(1);
  await flushed;
  equal(stats.queued, 3);
});

Deno.test("Sender.flush() resolves at once when nothing is queued", async () => {
  const { sender, clock } = setUp();
  await sender.flush(Infinity);
  equal(clock.pendingTimers, 0);
});

for (const [name, reply] of [["in flight", undefined], ["in a pause", AWAY]] as const) {
  Deno.test(`Sender.stop() counts what is ${name}, waiting and open as lost`, async () => {
    const { push, sender, stats, transport, clock } = setUp({}, reply);
    push("abcde");
    await settled();
    await sender.stop();
    push("f");
    deepEqual(stats.lost, { shutdown: 6 });
    deepEqual([stats.accepted, stats.delivered, stats.queued], [6, 0, 0]);
    deepEqual([transport.isClosed, clock.pendingTimers], [true, 0]);
  });
}

Deno.test("Sender settles every span once, whatever happens", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = seededRandom(seed);
    const { push, sender, stats, clock, transport } = setUp({ maxConcurrentExports: 1 + (seed % 3) });
    const replies = [DELIVERED, AWAY, REFUSED, { ...DELIVERED, rejectedSpans: 1, message: "no" }, undefined];
    const lost = () => Object.values(stats.lost).reduce((sum, spans) => sum + spans, 0);
    for (let step = 0; step < 60; step++) {
      transport.reply = replies[Math.floor(random() * replies.length)];
      push("x".repeat(Math.floor(random() * 6)));
      await clock.advance(random() * 4000);
      equal(stats.accepted, stats.delivered + lost() + stats.queued);
      ok(stats.queued <= 8);
    }
    transport.reply = seed % 2 ? DELIVERED : undefined;
    const flushed = sender.flush(clock.now() + 30_000);
    await clock.advance(30_000);
    await flushed;
    await sender.stop();
    equal(stats.accepted, stats.delivered + lost());
    equal(clock.pendingTimers, 0);
  }
});

const BACKOFFS: [failures: number, random: number, ms: number][] = [
  [1, 0.5, 500],
  [2, 0.5, 1000],
  [4, 0.5, 4000],
  [5, 0.5, 5000],
  [1000, 0.5, 5000],
  [1, 0, 375],
  [1000, 1, 6250],
];

for (const [failures, random, ms] of BACKOFFS) {
  Deno.test(`backoffMs() is ${ms} after ${failures} failures with jitter ${random}`, () => {
    equal(backoffMs(failures, random), ms);
  });
}

Deno.test("Sender measures each batch once: its spans, and the time from its first request to its last answer", async () => {
  const { push, measures, clock, answer } = setUp({ maxConcurrentExports: 2 });
  push("ab");
  await clock.advance(200);
  await answer(AWAY);
  await clock.advance(800);
  await answer(DELIVERED);
  push("cd");
  await answer(REFUSED);
  deepEqual([measures.batchSize.count, measures.batchSize.sum], [2, 4]);
  deepEqual([measures.exportOut.count, measures.exportOut.sum], [2, 1]);
});
