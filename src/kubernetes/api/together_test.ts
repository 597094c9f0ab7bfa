import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { together } from "./together.ts";

Deno.test("together() pauses when nothing more is there, and then brings all that has come", async () => {
  const { readable, writable } = new TransformStream<number, number>({}, { highWaterMark: 100 });
  const writer = writable.getWriter();
  const seen: (number | string)[] = [];
  const toCome = [[1, 2, 3], [4], []];
  const pause = async () => {
    seen.push("pause");
    const items = toCome.shift()!;
    for (const item of items) void writer.write(item);
    if (items.length === 0) await writer.close();
  };
  for await (const item of together(readable, pause)) seen.push(item);
  deepStrictEqual(seen, ["pause", 1, 2, 3, "pause", 4, "pause"]);
});

Deno.test("together() fails with its source, after the pause, and ends it when nobody reads on", async () => {
  const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("broken")) });
  await rejects(Array.fromAsync(together(broken, () => Promise.resolve())), { message: "broken" });
  const ended: string[] = [];
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(1),
    cancel: () => void ended.push("ended"),
  });
  for await (const _ of together(endless, () => Promise.resolve())) break;
  deepStrictEqual(ended, ["ended"]);
});

Deno.test("together() takes all that has come over HTTP/1.1 in a pause, however many chunks it is", async () => {
  const chunks = 100;
  const body = () =>
    new ReadableStream<Uint8Array>({
      start(controller) {
        for (let i = 0; i < chunks; i++) controller.enqueue(new Uint8Array(5000));
        controller.close();
      },
    });
  await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response(body()));
  const response = await fetch(`http://127.0.0.1:${http.addr.port}`);
  let pauses = 0;
  const pause = () => {
    pauses++;
    return new Promise<void>((resolve) => setTimeout(resolve, 100));
  };
  let bytes = 0;
  for await (const chunk of together(response.body!, pause)) bytes += chunk.length;
  strictEqual(bytes, 5000 * chunks);
  ok(pauses < chunks / 5, `${pauses} pauses`);
});
