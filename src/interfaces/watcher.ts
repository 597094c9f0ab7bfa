import type { AttachResult, LoaderError, NetworkInterface } from "../capture/loader.ts";
import type { InterfaceFacts } from "../flow/span_builder.ts";
import type { Logger } from "../log.ts";
import { describeNoMatch, selectInterfaces } from "./pattern.ts";
import { Refusals, type Refused } from "./refusals.ts";

/** What the watcher needs of a capture session. */
export interface Attacher {
  interfaces(): Promise<NetworkInterface[]>;
  attach(indexes: readonly number[]): Promise<AttachResult[]>;
  forget(indexes: readonly number[]): Promise<void>;
  watch(timeoutMs: number): Promise<"changed" | "woken" | "timeout" | "failed">;
  wake(): void;
}

export interface WatcherOptions {
  patterns: readonly string[];
  /** Whether interfaces are followed that come later; yes, when left out. */
  discovers?: boolean;
  session: Attacher;
  logger: Logger;
  /** Resolves when all records of flows that have ended by now have become spans. */
  recordsRead: () => Promise<void>;
  /** Called before the counters of interfaces are dropped. */
  beforeForget?: () => void;
  /** Milliseconds that only grow; for tests. */
  now?: () => number;
  /** For tests. */
  sleep?: (ms: number) => Promise<void>;
}

/** Flows of an interface that went away end within this, unless their timeouts are very long; then its name is unknown. */
const GONE_KEPT_MS = 600_000;
/** A look for no reason, should an event ever be missed. */
const LOOK_ANYWAY_MS = 60_000;
/** Events that come in a burst are one scan each so often. */
const SETTLE_MS = 100;
/** After a look that failed. */
const LOOK_AGAIN_MS = 1000;
/** Interfaces per call: a stop waits for one call, about half a second. */
const PER_CALL = 16;
/** More interfaces than this at once are told of in one line. */
const LINES_PER_SCAN = 5;

interface Attached extends InterfaceFacts {
  readonly mode: "tcx" | "clsact";
}

/** Keeps the programs attached to the interfaces that match, and knows what belongs to this host. */
export class InterfaceWatcher {
  readonly #session: Attacher;
  readonly #logger: Logger;
  readonly #recordsRead: () => Promise<void>;
  readonly #beforeForget: () => void;
  readonly #now: () => number;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #attached = new Map<number, Attached>();
  /** Also interfaces that went away a while ago: their flows end later. */
  readonly #facts = new Map<number, InterfaceFacts>();
  /** When an interface with facts was first missed, by index. */
  readonly #goneSinceMs = new Map<number, number>();
  readonly #refusals: Refusals;
  #patterns: readonly string[];
  #discovers: boolean;
  /** The next look is due, whether or not it discovers. */
  #mustLook = false;
  #addresses = new Set<string>();
  #saidNoMatch = false;
  #isStopping = false;

  constructor(options: WatcherOptions) {
    this.#patterns = options.patterns;
    this.#discovers = options.discovers ?? true;
    this.#session = options.session;
    this.#logger = options.logger;
    this.#recordsRead = options.recordsRead;
    this.#beforeForget = options.beforeForget ?? (() => {});
    this.#now = options.now ?? (() => performance.now());
    this.#sleep = options.sleep ?? wait;
    this.#refusals = new Refusals(options.logger);
  }

  /** Interfaces that are watched now, by index. */
  get attached(): ReadonlyMap<number, Attached> {
    return this.#attached;
  }

  /** How many interfaces match and refuse the programs. */
  get refused(): number {
    return this.#refusals.size;
  }

  /** The interface with this index, also one that went away a while ago. */
  interface(ifindex: number): InterfaceFacts | undefined {
    return this.#facts.get(ifindex);
  }

  /** Whether `address` is one of the watched namespace. */
  isLocal(address: string): boolean {
    return this.#addresses.has(address);
  }

  /** Scans whenever interfaces or addresses change, or others are to be watched, until `stop()`. */
  async run(): Promise<void> {
    while (!this.#isStopping) {
      const untilRetryMs = this.#discovers ? Math.ceil(this.#refusals.untilNextMs(this.#now())) : LOOK_ANYWAY_MS;
      const result = await this.#session.watch(Math.min(LOOK_ANYWAY_MS, untilRetryMs));
      if (this.#isStopping) return;
      const isDue = this.#discovers || this.#mustLook;
      this.#mustLook = false;
      const isFine = !isDue || await this.#lookOrTell();
      await this.#sleep(isFine && result !== "failed" ? SETTLE_MS : LOOK_AGAIN_MS);
    }
  }

  /** Ends `run()` after the call that is under way. */
  stop(): void {
    this.#isStopping = true;
    this.#session.wake();
  }

  /** Watches what other patterns mean, from the next scan on, which follows at once while `run()` runs. */
  setPatterns(patterns: readonly string[], discovers: boolean): void {
    this.#patterns = patterns;
    this.#discovers = discovers;
    this.#mustLook = true;
    this.#saidNoMatch = false;
    this.#session.wake();
  }

  /**
   * Looks at the interfaces there are: attaches to those that are new, forgets those that are gone, have another name
   * that does not match, or are others than before. One that refuses is logged and tried again later. Rejects with the
   * error when nothing is attached because of it.
   */
  async scan(): Promise<void> {
    const error = await this.#look();
    if (error && this.#attached.size === 0) throw error;
  }

  /** Resolves to the first error of all interfaces that refused this time. */
  async #look(): Promise<LoaderError | undefined> {
    const existing = await this.#session.interfaces();
    this.#addresses = new Set(existing.flatMap(({ addresses }) => addresses));
    const selected = new Map(selectInterfaces(existing, this.#patterns).map((found) => [found.index, found]));
    this.#refusals.keep((index) => selected.has(index));
    await this.#forget(existing, selected);
    this.#forgetFacts(new Set(existing.map(({ index }) => index)));
    for (const found of selected.values()) this.#follow(found);
    const error = await this.#attach([...selected.values()].filter(({ index }) => !this.#attached.has(index)));
    if (selected.size > 0) this.#saidNoMatch = false;
    else if (!this.#saidNoMatch) {
      this.#saidNoMatch = true;
      // No less than an error: users search the log for errors when nothing comes.
      this.#logger.error("no_interface_matches", describeNoMatch(this.#patterns, existing));
    }
    return error;
  }

  async #lookOrTell(): Promise<boolean> {
    try {
      await this.#look();
      return true;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#logger.warn("interface_scan_failed", `cannot look at the interfaces: ${why}; will be tried again`);
      return false;
    }
  }

  /** Forgets what is no longer to be watched. Flows that end with it keep the name it had. */
  async #forget(
    existing: readonly NetworkInterface[],
    selected: ReadonlyMap<number, NetworkInterface>,
  ): Promise<void> {
    const names = new Map(existing.map(({ index, name }) => [index, name]));
    const ended = [...this.#attached].filter(([index]) => !selected.get(index)?.attached);
    if (ended.length > 0) {
      this.#beforeForget();
      await this.#session.forget(ended.map(([index]) => index));
      for (const [index] of ended) this.#attached.delete(index);
      for (const { one: [index, { name }], others } of few(ended)) {
        const text = whyEnded(name, names.get(index), selected.has(index));
        this.#logger.info("interface_gone", text + others, { interface: name, index });
      }
    }
    const isAnother = (index: number) => this.#facts.has(index) && !this.#attached.has(index);
    if ([...selected.keys()].some(isAnother)) await this.#recordsRead();
  }

  /** Takes over the name and address that a watched interface has now. */
  #follow(found: NetworkInterface): void {
    const { index, name, mac } = found;
    const attached = this.#attached.get(index);
    if (!attached) return;
    this.#facts.set(index, found);
    this.#attached.set(index, { name, mac, mode: attached.mode });
    if (attached.name !== name) {
      this.#logger.info("interface_renamed", `${attached.name} is called ${name} now`, { interface: name, index });
    }
  }

  /** Attaches to those that may be tried; resolves to the first error. */
  async #attach(wanted: readonly NetworkInterface[]): Promise<LoaderError | undefined> {
    const nowMs = this.#now();
    const tried = wanted.filter((found) => this.#refusals.mayTry(found, nowMs));
    const done: Attached[] = [];
    const refused: Refused[] = [];
    for (let at = 0; at < tried.length && !this.#isStopping; at += PER_CALL) {
      const part = tried.slice(at, at + PER_CALL);
      // Packets are counted before the answer is here.
      for (const found of part) this.#facts.set(found.index, found);
      const results = await this.#session.attach(part.map(({ index }) => index));
      part.forEach((found, i) => {
        const result = results[i];
        if ("error" in result) {
          this.#facts.delete(found.index);
          // One that went away meanwhile is no news; an event has told of it.
          if (result.error.code !== "gone") refused.push({ found, error: result.error });
          return;
        }
        const attached = { name: found.name, mac: found.mac, mode: result.mode };
        this.#refusals.delete(found.index);
        this.#attached.set(found.index, attached);
        done.push(attached);
      });
    }
    for (const { one: { name, mode }, others } of few(done)) {
      this.#logger.info("interface_attached", `watching ${name}${others}`, { interface: name, mode });
    }
    this.#refusals.add(refused, this.#now());
    return refused[0]?.error;
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

/** The first of `news`, and with the last of them how many others there are: 500 lines would say no more. */
function few<T>(news: readonly T[]): { one: T; others: string }[] {
  const more = news.length - LINES_PER_SCAN;
  return news.slice(0, LINES_PER_SCAN).map((one, i) => ({
    one,
    others: more > 0 && i === LINES_PER_SCAN - 1 ? `, and the same for ${more} more` : "",
  }));
}

/** `nameNow`: of the interface that has the index now, if one has. */
function whyEnded(name: string, nameNow: string | undefined, isMeant: boolean): string {
  if (nameNow === undefined) return `${name} is gone`;
  if (isMeant) return `${name} has lost our programs, or is another interface now`;
  return nameNow === name ? `${name} is no longer meant` : `${name} is called ${nameNow} now, which is not meant`;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
