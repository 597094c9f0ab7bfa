/** Pods that come and go without nodes, and take over each other's addresses: who had which address when is known. */

import { sleep, until } from "../harness/wait.ts";
import type { ApiServer } from "./api_server.ts";
import { createPod, PODS } from "./objects.ts";

/** While the server does not answer. */
const PAUSE_MS = 50;
const LIFE_MS = 1000;
/**
 * Start times are whole seconds, cut off, and clocks may differ by another: of a pod that nobody saw, the next at its address is
 * only told when it comes so much later.
 */
const REUSE_MS = 2000;

export interface Owned {
  readonly name: string;
  readonly address: string;
  /** After it had its address … */
  upMs: number;
  /** … and before it was deleted. */
  downMs: number;
}

/**
 * Makes and deletes pods at some addresses, one after the other at each, until `stop()`; goes on
 * trying while the server is away.
 */
export class Churn {
  readonly addresses: readonly string[];
  readonly owned: Owned[] = [];
  readonly #server: ApiServer;
  readonly #running: Promise<unknown>;
  #isStopping = false;

  constructor(server: ApiServer, count: number) {
    this.#server = server;
    this.addresses = Array.from({ length: count }, (_, i) => `10.1.0.${i + 1}`);
    this.#running = Promise.all(this.addresses.map((address, i) => this.#turn(address, i)));
  }

  /** Who had the address at that time; between two pods nobody has it, and nobody sends from there. */
  ownerAt(address: string, timeMs: number): Owned | undefined {
    return this.owned.find((one) => one.address === address && one.upMs <= timeMs && timeMs <= one.downMs);
  }

  /** Those that are there now. */
  get alive(): Owned[] {
    return this.owned.filter(({ upMs, downMs }) => upMs !== Infinity && downMs === Infinity);
  }

  /** Resolves when so many more pods were made. */
  async untilMade(more: number): Promise<void> {
    const count = this.owned.length + more;
    await until(`${more} more pods`, () => this.owned.length >= count, 120_000);
  }

  /** The last pod at each address stays. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #turn(address: string, index: number): Promise<void> {
    for (let round = 0;; round++) {
      const one: Owned = { name: `pod-${index}-${round}`, address, upMs: Infinity, downMs: Infinity };
      this.owned.push(one);
      if (await this.#try(() => createPod(this.#server, { name: one.name, ips: [address] }))) {
        one.upMs = Date.now();
        if (this.#isStopping) return;
        await sleep(Math.random() * LIFE_MS);
      }
      one.downMs = Date.now();
      // Also what was only half made: its answer may be lost.
      while (!await this.#try(() => this.#server.delete(`${PODS}/${one.name}`)));
      await sleep(REUSE_MS);
    }
  }

  async #try(request: () => Promise<unknown>): Promise<boolean> {
    try {
      await request();
      return true;
    } catch (error) {
      if ((error as Error).message.includes("not found")) return true;
      await sleep(PAUSE_MS);
      return false;
    }
  }
}
