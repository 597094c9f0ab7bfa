/** Who listens on this host: evidence for the direction of a flow whose beginning nobody saw. */

import type { ListeningSocket } from "../capture/loader.ts";
import type { Logger } from "../log.ts";

/** Whether a socket of this host takes what comes to an address and port of its own. */
export interface ListenerView {
  /** @param address an address of this host, RFC 5952 text. */
  listens(protocol: number, address: string, port: number): boolean;
}

export interface ListenersOptions {
  /** All sockets that listen now; about 0.1 ms, and more with thousands of them. */
  read: () => readonly ListeningSocket[];
  logger: Logger;
  /** Milliseconds that only grow; for tests. */
  now?: () => number;
}

/** Sockets live long; who opened one a moment ago is not asked for yet. */
const KEPT_MS = 1000;
/** After a failure. */
const RETRY_MS = 60_000;
const ANY_IPV4 = "0.0.0.0";
const ANY_IPV6 = "::";

/** Asks the kernel at most once a second, and only when somebody asks here. */
export class Listeners implements ListenerView {
  readonly #options: ListenersOptions;
  readonly #now: () => number;
  /** By protocol and port: addresses, where {@linkcode ANY_IPV4} and {@linkcode ANY_IPV6} are all of their family. */
  #addresses = new Map<number, Set<string>>();
  #count = 0;
  #untilMs = -Infinity;

  constructor(options: ListenersOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** How many sockets listen. */
  count(): number {
    this.#refresh();
    return this.#count;
  }

  listens(protocol: number, address: string, port: number): boolean {
    this.#refresh();
    const addresses = this.#addresses.get(keyOf(protocol, port));
    return addresses !== undefined &&
      (addresses.has(address) || addresses.has(address.includes(":") ? ANY_IPV6 : ANY_IPV4));
  }

  #refresh(): void {
    const nowMs = this.#now();
    if (nowMs < this.#untilMs) return;
    this.#untilMs = nowMs + KEPT_MS;
    const addresses = new Map<number, Set<string>>();
    let sockets: readonly ListeningSocket[] = [];
    try {
      sockets = this.#options.read();
    } catch (error) {
      this.#untilMs = nowMs + RETRY_MS;
      const why = error instanceof Error ? error.message : String(error);
      this.#options.logger.warn("listeners_unknown", `${why}; directions are told by ports instead`);
    }
    for (const { protocol, address, port, dual } of sockets) {
      const key = keyOf(protocol, port);
      const known = addresses.get(key) ?? new Set();
      addresses.set(key, known.add(address));
      if (dual) known.add(ANY_IPV4);
    }
    this.#addresses = addresses;
    this.#count = sockets.length;
  }
}

function keyOf(protocol: number, port: number): number {
  return protocol << 16 | port;
}
