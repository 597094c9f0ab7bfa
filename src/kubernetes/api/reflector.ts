/** Keeps a copy of what one list and watch of the API server says; goes on whatever happens. */

import type { Connection } from "./access.ts";
import { ApiError, BrokenWatch, listPage, type Resource, watch, type WatchEvent } from "./api.ts";
import type { KubernetesObject } from "../model/object.ts";
import type { Scope } from "../model/selection.ts";
import { sleep as sleepFor } from "./sleep.ts";

/** Takes what a reflector learns. */
export interface ReflectorSink {
  /** The object is there, new or changed. */
  put(object: KubernetesObject): void;
  /**
   * The object is gone: seen to go, with its last state, or missing in a list; then it was there for sure at `sureMs`
   * (milliseconds since the epoch).
   */
  remove(uid: string, last: KubernetesObject | undefined, sureMs: number): void;
}

export interface ReflectorStats {
  /** Events of watches, by type. */
  readonly events: Record<"ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK", number>;
  lists: number;
  /** Objects that lists brought. */
  listed: number;
  /** Requests that failed, for whatever reason. */
  errors: number;
  /** When the API server last said anything, milliseconds since the epoch; 0 before. */
  heardMs: number;
}

export interface ReflectorOptions {
  connection: Connection;
  /** Where the objects are now. */
  resource: () => Resource;
  scope: Scope;
  sink: ReflectorSink;
  /** After the first whole list. */
  onSynced: () => void;
  /** Told of every failure and, with `undefined`, of the first success after one. */
  onState: (error: Error | undefined) => void;
  /** Without permission for so long, what is known is too old to name anything by. */
  forbiddenMs?: number;
  /** A number from 0 to 1, for what must not happen everywhere at once. */
  random?: () => number;
  now?: () => number;
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const FORBIDDEN_MS = 60_000;
const FORBIDDEN = 403;
/** As client-go: between 5 and 10 minutes, so that not all agents come back at once. */
const WATCH_SECONDS = 300;
const BACKOFF_MS = { first: 800, last: 30_000 } as const;
const GONE = 410;
/** Connections break now and then, which is nothing to tell of; so often in a row it is. */
const BREAKS = 3;

/** Runs from `run()` until its signal. */
export class Reflector {
  readonly stats: ReflectorStats = {
    events: { ADDED: 0, MODIFIED: 0, DELETED: 0, BOOKMARK: 0 },
    lists: 0,
    listed: 0,
    errors: 0,
    heardMs: 0,
  };
  readonly #options: ReflectorOptions;
  readonly #random: () => number;
  readonly #now: () => number;
  /** What the sink has from here. */
  readonly #known = new Set<string>();
  /** Where the next watch begins; `""` asks for a list. */
  #version = "";
  #failures = 0;
  /** Watches in a row that ended before their first event. */
  #breaks = 0;
  /** Versions in a row that were too old; the first is nothing special, but whole lists over and over are dear. */
  #tooOld = 0;
  #forbiddenSinceMs = Infinity;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#now = options.now ?? Date.now;
  }

  /** Objects that the sink has from here. */
  get objects(): number {
    return this.#known.size;
  }

  /** Resolves after `signal`; never rejects for what the API server or the network do. */
  async run(signal: AbortSignal): Promise<void> {
    const { sleep = sleepFor } = this.#options;
    while (!signal.aborted) {
      try {
        if (this.#version === "") await this.#list(signal);
        await this.#watch(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#fail(error as Error);
        await sleep(this.#backoffMs(), signal);
      }
    }
  }

  /** Takes everything back from the sink, and begins anew at the next turn. */
  #forget(): void {
    for (const uid of this.#known) this.#options.sink.remove(uid, undefined, this.stats.heardMs);
    this.#known.clear();
    this.#version = "";
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { connection, resource, scope, sink } = this.#options;
    const seen = new Set<string>();
    const sureMs = this.stats.heardMs;
    this.stats.lists++;
    let token = "";
    let version = "";
    do {
      const page = await listPage(connection, resource(), scope, token, (object) => {
        this.stats.listed++;
        seen.add(object.metadata.uid);
        this.#put(object);
      }, signal);
      this.#heard();
      version = page.resourceVersion;
      token = page.continue;
    } while (token !== "");
    for (const uid of this.#known) {
      if (seen.has(uid)) continue;
      this.#known.delete(uid);
      sink.remove(uid, undefined, sureMs);
    }
    this.#version = version;
    this.#options.onSynced();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { connection, resource, scope } = this.#options;
    const seconds = Math.round(WATCH_SECONDS * (1 + this.#random()));
    let events = 0;
    const onEvent = (event: WatchEvent) => {
      events++;
      this.#take(event);
    };
    const onBegin = () => this.#answered();
    const request = { resource: resource(), scope, resourceVersion: this.#version, timeoutSeconds: seconds };
    await watch(connection, { ...request, onBegin, onEvent }, signal);
    // A server, or a proxy, that ends every watch at once must not be asked without a pause.
    if (events === 0 && !signal.aborted) throw new BrokenWatch("the watch ended without an event");
  }

  #take(event: WatchEvent): void {
    this.#heard();
    this.#breaks = this.#tooOld = 0;
    this.stats.events[event.type]++;
    if (event.type === "BOOKMARK") {
      if (event.resourceVersion !== "") this.#version = event.resourceVersion;
      return;
    }
    const { object } = event;
    this.#version = object.metadata.resourceVersion ?? this.#version;
    if (event.type === "DELETED") {
      this.#known.delete(object.metadata.uid);
      this.#options.sink.remove(object.metadata.uid, object, this.stats.heardMs);
    } else this.#put(object);
  }

  #put(object: KubernetesObject): void {
    this.#known.add(object.metadata.uid);
    this.#options.sink.put(object);
  }

  /** The server told what is true now. */
  #heard(): void {
    this.stats.heardMs = this.#now();
    this.#answered();
  }

  #answered(): void {
    this.#forbiddenSinceMs = Infinity;
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#options.onState(undefined);
  }

  #fail(error: Error): void {
    // Also a page may be too old: then the whole list begins again.
    if (error instanceof ApiError && error.status === GONE) {
      this.#version = "";
      this.#tooOld++;
      return;
    }
    if (error instanceof BrokenWatch && ++this.#breaks <= BREAKS) return;
    if (error instanceof ApiError && error.status === FORBIDDEN) this.#refuse();
    this.stats.errors++;
    this.#failures++;
    this.#options.onState(error);
  }

  #refuse(): void {
    const { forbiddenMs = FORBIDDEN_MS } = this.#options;
    this.#forbiddenSinceMs = Math.min(this.#forbiddenSinceMs, this.#now());
    if (this.#known.size > 0 && this.#now() - this.#forbiddenSinceMs >= forbiddenMs) this.#forget();
  }

  /** Doubles from failure to failure, with jitter from the half to the whole of it. */
  #backoffMs(): number {
    const times = this.#failures + this.#breaks + Math.max(this.#tooOld - 1, 0);
    const doubled = BACKOFF_MS.first * 2 ** Math.min(times, 10);
    return Math.min(doubled, BACKOFF_MS.last) * (0.5 + this.#random() / 2);
  }
}
