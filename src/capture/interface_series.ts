/** The counters of each interface by its name, also of those that went away a while ago. */

import type { HookCounters } from "./loader.ts";

export interface InterfaceCounters {
  readonly interface: string;
  readonly direction: HookCounters["direction"];
  readonly counters: HookCounters;
}

export interface InterfaceSeriesOptions {
  counters: () => readonly HookCounters[];
  interfaceName: (ifindex: number) => string;
  /** How long an interface that is gone keeps its last counters. */
  staleMs: number;
  /** Milliseconds that only grow; for tests. */
  now?: () => number;
}

interface Kept extends InterfaceCounters {
  readonly seenMs: number;
}

/** Knows what was there when it was last read; {@linkcode InterfaceSeries.look} before something goes keeps it exact. */
export class InterfaceSeries {
  readonly #options: InterfaceSeriesOptions;
  #staleMs: number;
  readonly #kept = new Map<string, Kept>();

  constructor(options: InterfaceSeriesOptions) {
    this.#options = options;
    this.#staleMs = options.staleMs;
  }

  /** How long an interface that is gone keeps its last counters. */
  set staleMs(staleMs: number) {
    this.#staleMs = staleMs;
  }

  /** Every interface that is there, and those that went away less than the stale time ago. */
  read(): InterfaceCounters[] {
    this.look();
    return [...this.#kept.values()];
  }

  /** Keeps what the counters are now. */
  look(): void {
    const { counters, interfaceName, now = () => performance.now() } = this.#options;
    const nowMs = now();
    const live = new Set<number>();
    for (const hook of counters()) {
      if (hook.ifindex === 0) continue;
      live.add(hook.ifindex);
      const name = interfaceName(hook.ifindex);
      // One that came back under its name begins anew: the older counters are those of another interface.
      this.#kept.set(`${name} ${hook.direction}`, {
        interface: name,
        direction: hook.direction,
        counters: hook,
        seenMs: nowMs,
      });
    }
    for (const [key, { seenMs, counters }] of this.#kept) {
      // It was renamed, or it is gone for long enough.
      if (seenMs !== nowMs && (live.has(counters.ifindex) || nowMs - seenMs >= this.#staleMs)) this.#kept.delete(key);
    }
  }
}
