const ID_BYTES = 8;
const POOL_BYTES = 512 * ID_BYTES;

/** Random 64-bit span ids, never all zero (W3C Trace Context), taken from a pool that is refilled 512 at a time. */
export class SpanIds {
  readonly #fill: (pool: Uint8Array<ArrayBuffer>) => void;
  readonly #pool = new Uint8Array(POOL_BYTES);
  #at = POOL_BYTES;

  /** @param fill fills a pool with random bytes; a test may give its own. */
  constructor(fill: (pool: Uint8Array<ArrayBuffer>) => void = (pool) => void crypto.getRandomValues(pool)) {
    this.#fill = fill;
  }

  /** Writes the next id into the first 8 bytes of `out`. */
  write(out: Uint8Array): void {
    let bits = 0;
    while (bits === 0) {
      if (this.#at === POOL_BYTES) {
        this.#fill(this.#pool);
        this.#at = 0;
      }
      for (let i = 0; i < ID_BYTES; i++) bits |= out[i] = this.#pool[this.#at++];
    }
  }
}
