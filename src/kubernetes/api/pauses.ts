import { sleep } from "./sleep.ts";

/** Pauses of many that end together when there is news. */
export class Pauses {
  readonly #ends = new Set<() => void>();

  /** Those who pause now. */
  get size(): number {
    return this.#ends.size;
  }

  /** Resolves after `ms`, at `end()`, or when `signal` aborts; never rejects. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ends.add(resolve);
    await Promise.race([sleep(ms, signal), promise]);
    this.#ends.delete(resolve);
  }

  end(): void {
    for (const end of this.#ends) end();
  }
}
