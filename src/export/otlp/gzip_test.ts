import { deepEqual, equal } from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { gzip } from "./gzip.ts";

Deno.test("gzip() makes a part of a buffer smaller, and it can be read again", () => {
  const buffer = new Uint8Array(100_000).map((_, i) => i % 7);
  const part = buffer.subarray(10, 90_000);
  const compressed = gzip(part);
  equal(compressed.length < 10_000, true);
  deepEqual(new Uint8Array(gunzipSync(compressed)), part.slice());
});
