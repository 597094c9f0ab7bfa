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
}

interface Attached extends InterfaceFacts {
  readonly mode: "tcx" | "clsact";
}

/** Keeps the programs attached to the interfaces that match, and knows what belongs to this host. */
export class InterfaceWatcher {
  readonly #patterns: readonly string[];
  readonly #session: Attacher;
  readonly #logger: Logger;
  readonly #attached = new Map<number, Attached>();
  /** Also interfaces that went away: their flows end later. */
  readonly #facts = new Map<number, InterfaceFacts>();
  /** Interfaces that refused, by index, so that each is told of once. */
  readonly #refused = new Set<number>();
  #addresses = new Set<string>();
  #saidNoMatch = false;

  constructor({ patterns, session, logger }: WatcherOptions) {
    this.#patterns = patterns;
    this.#session = session;
    this.#logger = logger;
  }

  /** Interfaces that are watched now, by index. */
  get attached(): ReadonlyMap<number, Attached> {
    return this.#attached;
  }

  /** The interface with this index, also one that went away. */
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
    this.#forgetGone(existing);
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

  #forgetGone(existing: readonly NetworkInterface[]): void {
    const indexes = new Set(existing.map(({ index }) => index));
    for (const refused of this.#refused) if (!indexes.has(refused)) this.#refused.delete(refused);
    for (const [index, { name }] of this.#attached) {
      if (indexes.has(index)) continue;
      this.#attached.delete(index);
      this.#session.forget(index);
      this.#logger.info("interface_gone", `${name} is gone`, { interface: name, index });
    }
  }
}
