import { deepStrictEqual } from "node:assert/strict";
import { lines } from "./lines.ts";

Deno.test("lines() joins what the network cuts, and drops a last line that is not whole", async () => {
  const bytes = new TextEncoder().encode(`{"a":"ä\uFEFF\uFEFF"}\n\n{"b":"${"x".repeat(1000)}"}\n{"cut`);
  for (const size of [1, 2, 3, 7, 500, 5000]) {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    const read = await Array.fromAsync(lines(body));
    deepStrictEqual(read, ['{"a":"ä\uFEFF\uFEFF"}', `{"b":"${"x".repeat(1000)}"}`], `${size}`);
  }
});
