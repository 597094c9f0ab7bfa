import assert from "node:assert/strict";
import { Histogram } from "./histogram.ts";

Deno.test("Histogram.observe() counts each value in the first bucket that holds it", () => {
  const histogram = new Histogram([1, 10, 100]);
  for (const value of [0, 1, 1.5, 10, 11, 100, 101, 1e9]) histogram.observe(value);
  histogram.observe(5, 3);
  assert.deepEqual(histogram.counts, [2, 5, 2, 2]);
  assert.equal(histogram.count, 11);
  assert.equal(histogram.sum, 0 + 1 + 1.5 + 10 + 11 + 100 + 101 + 1e9 + 15);
});

Deno.test("Histogram without bounds has one bucket", () => {
  const histogram = new Histogram([]);
  histogram.observe(7);
  assert.deepEqual(histogram.counts, [1]);
});

Deno.test("Histogram refuses bounds that do not rise", () => {
  for (const bounds of [[1, 1], [2, 1], [1, NaN], [Infinity]]) {
    assert.throws(() => new Histogram(bounds), RangeError);
  }
});
