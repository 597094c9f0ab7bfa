import assert from "node:assert/strict";
import { SpanIds } from "./span_id.ts";

Deno.test("SpanIds.write() gives ids that differ, over more than one pool", () => {
  const ids = new SpanIds();
  const seen = new Set<string>();
  for (let i = 0; i < 2000; i++) {
    const out = new Uint8Array(8);
    ids.write(out);
    seen.add(out.toHex());
  }
  assert.equal(seen.size, 2000);
});

Deno.test("SpanIds.write() uses every random byte once, in order, and skips an id of zeros", () => {
  let fills = 0;
  const ids = new SpanIds((pool) => {
    pool.forEach((_, i) => pool[i] = i < 8 ? 0 : 1 + (i >> 3) % 255);
    pool[16] = ++fills;
  });
  const first = new Uint8Array(8);
  const second = new Uint8Array(8);
  ids.write(first);
  ids.write(second);
  assert.equal(first.toHex(), "0202020202020202");
  assert.equal(second.toHex(), "0103030303030303");
  for (let i = 2; i < 511; i++) ids.write(second);
  assert.equal(fills, 1);
  ids.write(second);
  assert.equal(second.toHex(), "0202020202020202");
  assert.equal(fills, 2);
});
