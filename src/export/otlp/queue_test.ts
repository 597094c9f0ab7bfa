import { deepEqual, equal, ok } from "node:assert/strict";
import type { ProtobufWriter } from "./protobuf.ts";
import { BatchQueue, type RequestFormat } from "./queue.ts";

/** Writes each item as its character. */
const CHARACTERS: RequestFormat<string> = {
  begin: (writer) => writer.reset(),
  add: (writer, item) => writer.raw(new TextEncoder().encode(item)),
  finish: (writer: ProtobufWriter) => writer.view(),
};

const queueOf = (maxBatchSize: number, maxQueueSize: number) =>
  new BatchQueue(CHARACTERS, { maxBatchSize, maxQueueSize, maxSpareBuffers: 2 });

const pushAll = (queue: BatchQueue<string>, items: string) =>
  [...items].reduce((sum, item) => sum + queue.push(item), 0);

const textOf = (queue: BatchQueue<string>, batch = queue.take()) =>
  batch === undefined ? undefined : new TextDecoder().decode(queue.request(batch));

function drain(queue: BatchQueue<string>): string[] {
  queue.closeOpen();
  const texts: string[] = [];
  for (let text = textOf(queue); text !== undefined; text = textOf(queue)) texts.push(text);
  return texts;
}

const OVERFLOWS: [name: string, items: string, dropped: number, left: string[]][] = [
  ["keeps what fits", "abcdef", 0, ["ab", "cd", "ef"]],
  ["drops the oldest batch", "abcdefg", 2, ["cd", "ef", "g"]],
  ["drops one batch after the other", "abcdefghij", 4, ["ef", "gh", "ij"]],
];

for (const [name, items, dropped, left] of OVERFLOWS) {
  Deno.test(`BatchQueue.push() ${name}`, () => {
    const queue = queueOf(2, 6);
    equal(pushAll(queue, items), dropped);
    equal(queue.spans, items.length - dropped);
    deepEqual(drain(queue), left);
  });
}

Deno.test("BatchQueue.push() drops the open batch when nothing older waits", () => {
  const queue = queueOf(4, 6);
  pushAll(queue, "abcd");
  const taken = queue.take()!;
  equal(pushAll(queue, "efg"), 2);
  equal(queue.spans, 5);
  queue.settle(taken);
  deepEqual(drain(queue), ["g"]);
});

Deno.test("BatchQueue.push() drops the new item when all others are being sent", () => {
  const queue = queueOf(2, 2);
  pushAll(queue, "ab");
  const taken = queue.take()!;
  equal(queue.push("c"), 1);
  equal(queue.spans, 2);
  equal(textOf(queue, taken), "ab");
});

Deno.test("BatchQueue.push() closes a batch that has grown too long for one message", () => {
  const queue = queueOf(1000, 1000);
  const long = "x".repeat(1_000_000);
  for (let i = 0; i < 8; i++) queue.push(long);
  equal(queue.waitingBatches, 2);
});

Deno.test("BatchQueue.putBack() keeps the order of age", () => {
  const queue = queueOf(1, 10);
  pushAll(queue, "abcd");
  const [a, b] = [queue.take()!, queue.take()!];
  queue.putBack(b);
  queue.putBack(a);
  deepEqual(drain(queue), ["a", "b", "c", "d"]);
});

Deno.test("BatchQueue.settle() hands the buffer to a later batch", () => {
  const queue = queueOf(2, 10);
  pushAll(queue, "ab");
  const first = queue.take()!;
  const { writer } = first;
  queue.settle(first);
  pushAll(queue, "cd");
  const second = queue.take()!;
  ok(writer !== undefined && second.writer === writer);
  equal(textOf(queue, second), "cd");
});

Deno.test("BatchQueue.clear() drops all but what is taken", () => {
  const queue = queueOf(2, 10);
  pushAll(queue, "abcde");
  const taken = queue.take()!;
  equal(queue.clear(), 3);
  equal(queue.spans, 2);
  queue.settle(taken);
  equal(queue.spans, 0);
  equal(queue.heldBytes, 0);
});

Deno.test("BatchQueue.holdsBefore() sees open, waiting and taken batches", () => {
  const queue = queueOf(2, 10);
  equal(queue.holdsBefore(queue.nextSequence), false);
  queue.push("a");
  equal(queue.holdsBefore(queue.nextSequence), true);
  queue.push("b");
  equal(queue.holdsBefore(queue.nextSequence), true);
  const taken = queue.take()!;
  equal(queue.holdsBefore(queue.nextSequence), true);
  queue.settle(taken);
  equal(queue.holdsBefore(queue.nextSequence), false);
});

Deno.test("BatchQueue.request() makes the bytes of a batch once, compressed, and counts only them", () => {
  let calls = 0;
  const compress = (request: Uint8Array<ArrayBuffer>) => {
    calls++;
    return request.slice(0, 1);
  };
  const limits = { maxBatchSize: 3, maxQueueSize: 9, maxSpareBuffers: 1 };
  const queue = new BatchQueue(CHARACTERS, limits, compress);
  for (const item of "abc") queue.push(item);
  const batch = queue.take()!;
  const request = queue.request(batch);
  equal(new TextDecoder().decode(request), "a");
  queue.putBack(batch);
  equal(queue.request(queue.take()!), request);
  deepEqual([calls, queue.heldBytes], [1, 1]);
});

Deno.test("BatchQueue compresses the batches behind the first one at once, and keeps no buffer for them", () => {
  const limits = { maxBatchSize: 3, maxQueueSize: 30, maxSpareBuffers: 2 };
  const queue = new BatchQueue(CHARACTERS, limits, (request) => request.slice(1));
  for (const item of "abcdefghijkl") queue.push(item);
  const first = queue.take()!;
  equal(queue.heldBytes - first.writer!.capacityBytes, 3 * 2);
  queue.putBack(first);
  deepEqual(drain(queue), ["bc", "ef", "hi", "kl"]);
});
