import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { chunksOf, textOf } from "./body.ts";

/** A body that says one thing and then nothing more, and knows nothing of any signal. */
function silent(onCancel: (reason: unknown) => void = () => {}): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode("a")),
    cancel: onCancel,
  });
}

Deno.test("chunksOf() ends with the reason of the abort, and the body with it", async () => {
  const abort = new AbortController();
  const seen: unknown[] = [];
  const chunks = chunksOf(silent((reason) => seen.push(reason)), abort.signal);
  strictEqual((await chunks.next()).value?.length, 1);
  const next = chunks.next();
  const reason = new Error("stop");
  abort.abort(reason);
  await rejects(next, reason);
  deepStrictEqual(seen, [reason]);
  await rejects(textOf(silent(), abort.signal), reason);
});

Deno.test("chunksOf() ends the body when its reader stops", async () => {
  let isCancelled = false;
  for await (const _ of chunksOf(silent(() => isCancelled = true), new AbortController().signal)) break;
  strictEqual(isCancelled, true);
});
