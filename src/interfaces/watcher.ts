import type { NetworkInterface } from "../capture/loader.ts";
import type { InterfaceFacts } from "../flow/span_builder.ts";
import type { Logger } from "../log.ts";
import { describeNoMatch, selectInterfaces } from "./pattern.ts";

/** What the watcher needs of a capture session. */
export interface Attacher {
  interfaces(): NetworkInterface[];
  attach(name: string): { index: number; mode: "tcx" | "clsact" };
  forget(ifindex: number): void;
}

export interface WatcherOptions {
  patterns: readonly string[];
  session: Attacher;
  logger: Logger;
  /** Milliseconds that only grow; for tests. */
  now?: () => number;
}

/** Flows of an interface that went away end within this, unless their timeouts are very long; then its name is unknown. */
const GONE_KEPT_MS = 600_000;

interface Attached extends InterfaceFacts {
  readonly mode: "tcx" | "clsact";
}

/** Keeps the programs attached to the interfaces that match, and knows what belongs to this host. */
export class InterfaceWatcher {
  readonly #patterns: readonly string[];
  readonly #session: Attacher;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #attached = new Map<number, Attached>();
  /** Also interfaces that went away a while ago: their flows end later. */
  readonly #facts = new Map<number, InterfaceFacts>();
  /** When an interface with facts was first missed, by index. */
  readonly #goneSinceMs = new Map<number, number>();
  /** Interfaces that refused, by index, so that each is told of once. */
  readonly #refused = new Set<number>();
  #addresses = new Set<string>();
  #saidNoMatch = false;

  constructor({ patterns, session, logger, now = () => performance.now() }: WatcherOptions) {
    this.#patterns = patterns;
    this.#session = session;
    this.#logger = logger;
    this.#now = now;
  }

  /** Interfaces that are watched now, by index. */
  get attached(): ReadonlyMap<number, Attached> {
    return this.#attached;
  }

  /** The interface with this index, also one that went away a while ago. */
  interface(ifindex: number): InterfaceFacts | undefined {
    return this.#facts.get(ifindex);
  }

  /** Whether `address` is one of the watched namespace. */
  isLocal(address: string): boolean {
    return this.#addresses.has(address);
  }

  /**
   * Looks at the interfaces there are: attaches to those that are new, forgets those that are gone. An interface that
   * refuses is logged and left alone. Throws the error when nothing is attached because of it.
   */
  scan(): void {
    const existing = this.#session.interfaces();
    this.#addresses = new Set(existing.flatMap(({ addresses }) => addresses));
    const indexes = new Set(existing.map(({ index }) => index));
    this.#forgetGone(indexes);
    this.#forgetFacts(indexes);
    let firstError: unknown;
    for (const found of selectInterfaces(existing, this.#patterns)) {
      this.#facts.set(found.index, found);
      if (this.#attached.has(found.index) || this.#refused.has(found.index)) continue;
      try {
        this.#attach(found);
      } catch (error) {
        firstError ??= error;
        this.#refused.add(found.index);
        this.#logger.error("attach_failed", String(error instanceof Error ? error.message : error), {
          interface: found.name,
        });
      }
    }
    if (this.#attached.size > 0) this.#saidNoMatch = false;
    else if (firstError !== undefined) throw firstError;
    else if (!this.#saidNoMatch) {
      this.#saidNoMatch = true;
      this.#logger.warn("no_interface_matches", describeNoMatch(this.#patterns, existing));
    }
  }

  #attach(found: NetworkInterface): void {
    const { index, mode } = this.#session.attach(found.name);
    this.#attached.set(index, { name: found.name, mac: found.mac, mode });
    this.#logger.info("interface_attached", `watching ${found.name}`, { interface: found.name, index, mode });
  }

  #forgetGone(indexes: ReadonlySet<number>): void {
    for (const refused of this.#refused) if (!indexes.has(refused)) this.#refused.delete(refused);
    for (const [index, { name }] of this.#attached) {
      if (indexes.has(index)) continue;
      this.#attached.delete(index);
      this.#session.forget(index);
      this.#logger.info("interface_gone", `${name} is gone`, { interface: name, index });
    }
  }

  #forgetFacts(indexes: ReadonlySet<number>): void {
    const nowMs = this.#now();
    for (const index of this.#facts.keys()) {
      const sinceMs = this.#goneSinceMs.get(index) ?? nowMs;
      if (indexes.has(index)) this.#goneSinceMs.delete(index);
      else if (nowMs - sinceMs < GONE_KEPT_MS) this.#goneSinceMs.set(index, sinceMs);
      else {
        this.#goneSinceMs.delete(index);
        this.#facts.delete(index);
      }
    }
  }
}
