import { deepStrictEqual } from "node:assert/strict";
import { Lines } from "./lines.ts";

Deno.test("Lines joins what the network cuts, and drops a last line that is not whole", () => {
  const bytes = new TextEncoder().encode(`{"a":"ä\uFEFF\uFEFF"}\n\n{"b":"${"x".repeat(1000)}"}\n{"cut`);
  for (const size of [1, 2, 3, 7, 500, 5000]) {
    const lines = new Lines();
    const read: string[] = [];
    for (let at = 0; at < bytes.length; at += size) read.push(...lines.push(bytes.slice(at, at + size)));
    deepStrictEqual(read, ['{"a":"ä\uFEFF\uFEFF"}', `{"b":"${"x".repeat(1000)}"}`], `${size}`);
  }
});
