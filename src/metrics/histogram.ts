/** Counts values by size: exact, because every value is counted once, in whole numbers. */
export class Histogram {
  /** Upper bounds of the buckets, rising, each of them within its bucket. */
  readonly bounds: readonly number[];
  /** Values per bucket, not added up; one more than there are bounds, for what is above the last. */
  readonly counts: number[];
  /** Sum of all values. */
  sum = 0;

  /** @throws {RangeError} when the bounds do not rise. */
  constructor(bounds: readonly number[]) {
    if (bounds.some((bound, i) => !Number.isFinite(bound) || (i > 0 && bound <= bounds[i - 1]))) {
      throw new RangeError(`Bounds of a histogram must rise: ${bounds.join(", ")}`);
    }
    this.bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  /** Values counted. */
  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** Counts `value`, or with `times` that many of it. */
  observe(value: number, times = 1): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > this.bounds[bucket]) bucket++;
    this.counts[bucket] += times;
    this.sum += value * times;
  }
}
