/** Lists and watches of all kinds that are selected, from when the cluster is found to have them. */

import type { Histogram } from "../metrics/histogram.ts";
import type { Logger } from "../log.ts";
import type { Connection } from "./api/access.ts";
import { ApiError, discover, NOT_FOUND, type Resource } from "./api/api.ts";
import { compactHeap } from "./compact_heap.ts";
import { intakeOf } from "./intake.ts";
import type { Kind } from "./model/kinds.ts";
import type { KubernetesObject } from "./model/object.ts";
import { isForbidden, Outages } from "./api/outages.ts";
import { Pauses } from "./api/pauses.ts";
import { Reflector } from "./api/reflector.ts";
import type { Selection } from "./model/selection.ts";
import { sleep } from "./api/sleep.ts";
import type { Store } from "./index/store.ts";

export interface WatchesOptions {
  readonly connection: Connection;
  readonly selections: readonly Selection[];
  /** Kinds of which nothing but the metadata is used. */
  readonly metadataOnly: ReadonlySet<Kind>;
  /** Takes what is learned. */
  readonly store: Store;
  readonly logger: Logger;
  /** Takes how long each change of an object took, in seconds. */
  readonly indexSeconds: Histogram;
  /** Gives back to the system what the allocator keeps of freed memory. */
  readonly trim?: () => void;
  /** A line is written when the lists take longer. */
  readonly syncTimeoutMs: number;
  /** Waited for whenever the API server has said what there is. */
  readonly onAnswered: (signal: AbortSignal) => Promise<void>;
  /** Kinds that the cluster lacks are asked for so often. */
  readonly discoveryMs?: number;
  /** Objects that may no longer be read are kept so long. */
  readonly forbiddenMs?: number;
}

/** Whether all that may be read is listed, or what is missing. */
export interface WatchesState {
  readonly ok: boolean;
  readonly detail?: string;
}

/** One list and watch, as the outside sees it. */
interface Watched {
  readonly kind: Kind;
  readonly reflector: Reflector;
  state: "syncing" | "synced" | "forbidden";
}

const RETRY_MS = 5000;
/** A node takes longer to make a pod that is scheduled, and a flow longer to end: it is known before its first flow is named. */
const POD_PAUSE_MS = 200;
/** Most others follow what pods do, several at a time; a multiple of the pause of pods. */
export const PAUSE_MS = 400;
/** Kinds that the cluster lacks may come with a later installation, versions go with an upgrade. */
const DISCOVERY_MS = 300_000;

/** Goes on whatever happens, from `run()` until its signal and `stop()`. */
export class Watches {
  readonly #options: WatchesOptions;
  readonly #watched: Watched[] = [];
  readonly #outages: Outages;
  /** Where each kind is; a kind whose place is gone is looked for again. */
  readonly #resources = new Map<Kind, Resource>();
  readonly #misplaced = new Set<Kind>();
  /** Of requests that failed; they end when one is answered. */
  readonly #pauses = new Pauses();
  readonly #settled = Promise.withResolvers<void>();
  #isDiscovered = false;
  #isSettled = false;
  #isOverdue = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
    this.#outages = new Outages({ logger: options.logger, origin: options.connection.origin });
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#discover(signal), this.#complainLate(signal)]);
  }

  stop(): void {
    this.#settled.resolve();
    this.#outages.stop();
  }

  /** Resolves when everything that can be listed was, and at `stop()`. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** Kinds that are not listed yet. Those that may not be read do not count. */
  get state(): WatchesState {
    if (!this.#isDiscovered) return { ok: false, detail: "the API server has not answered yet" };
    const missing = this.#missing();
    return missing.length === 0 ? { ok: true } : { ok: false, detail: `not listed yet: ${missing.join(", ")}` };
  }

  /** What each has learned and asked for. */
  get stats() {
    return this.#watched.map(({ kind, reflector }) => ({ kind, ...reflector.stats }));
  }

  #missing(): string[] {
    const syncing = this.#watched.filter(({ state }) => state === "syncing");
    return [...new Set(syncing.map(({ kind }) => kind))];
  }

  /** Finds out what the cluster has and watches it; asks again now and then for what it lacks. */
  async #discover(signal: AbortSignal): Promise<void> {
    const { connection, logger, onAnswered, discoveryMs = DISCOVERY_MS } = this.#options;
    const running: Promise<void>[] = [];
    let isFailing = false;
    while (!signal.aborted) {
      try {
        running.push(...await this.#look(signal));
        if (isFailing) logger.info("k8s_recovered", "the API server answers again");
        isFailing = false;
        await onAnswered(signal);
        await sleep(discoveryMs, signal);
      } catch (error) {
        if (signal.aborted) break;
        const line = `cannot ask the API server for its kinds: ${(error as Error).message}; it is tried again`;
        if (!isFailing && !this.#outages.isFailing) {
          logger.warn("k8s_unreachable", line, { server: connection.server });
          isFailing = true;
        }
        await sleep(RETRY_MS, signal);
      }
    }
    await Promise.all(running);
  }

  /** Begins to watch what has been found now. */
  async #look(signal: AbortSignal): Promise<Promise<void>[]> {
    const { connection, selections, logger } = this.#options;
    const wanted = selections.map(({ kind }) => kind)
      .filter((kind) => !this.#resources.has(kind) || this.#misplaced.has(kind));
    if (wanted.length === 0) return [];
    const found = await discover(connection, wanted, signal);
    const fresh = selections.filter(({ kind }) => found.has(kind) && !this.#resources.has(kind));
    for (const [kind, resource] of found) this.#resources.set(kind, resource);
    const namesOf = (kinds: readonly Kind[]) => kinds.join(", ");
    const lacking = wanted.filter((kind) => !this.#resources.has(kind));
    if (!this.#isDiscovered && lacking.length > 0) {
      const line = `the cluster has no ${namesOf(lacking)}; these are left out until it has`;
      logger.warn("k8s_kind_missing", line, { kinds: namesOf(lacking) });
    } else if (this.#isDiscovered && fresh.length > 0) {
      const kinds = namesOf(fresh.map(({ kind }) => kind));
      logger.info("k8s_kind_found", `the cluster has ${kinds} now`, { kinds });
    }
    const running = fresh.flatMap((selection) => this.#watch(selection, signal));
    this.#isDiscovered = true;
    this.#checkSettled();
    return running;
  }

  #watch({ kind, scopes, wants }: Selection, signal: AbortSignal): Promise<void>[] {
    const { connection, metadataOnly, store, indexSeconds: seconds, forbiddenMs } = this.#options;
    return scopes.map((scope) => {
      const watched: Watched = {
        kind,
        state: "syncing",
        reflector: new Reflector({
          connection,
          resource: () => this.#resources.get(kind)!,
          scope: {
            ...scope,
            isMetadataOnly: metadataOnly.has(kind),
            pauseMs: kind === "Pod" ? POD_PAUSE_MS : PAUSE_MS,
          },
          forbiddenMs,
          sleep: (ms, signal) => this.#pauses.pause(ms, signal),
          sink: intakeOf({
            ...{ kind, wants, store, seconds },
            onUnreadable: (object, error) => this.#tellUnreadable(watched, object, error),
          }),
          onSynced: () => {
            watched.state = "synced";
            this.#checkSettled();
          },
          onState: (error) => this.#note(watched, error),
        }),
      };
      this.#watched.push(watched);
      return watched.reflector.run(signal);
    });
  }

  #tellUnreadable(
    { kind, reflector }: Watched,
    { metadata: { namespace, name } }: KubernetesObject,
    error: Error,
  ): void {
    reflector.stats.errors++;
    const whole = namespace === undefined ? name : `${namespace}/${name}`;
    const line = `cannot read the ${kind} ${whole}: ${error.message}; no flow is named by it`;
    this.#options.logger.error("k8s_object_unreadable", line, { kind });
  }

  /** A request failed, or with `undefined` the first one after that was answered. */
  #note(watched: Watched, error: Error | undefined): void {
    const { kind } = watched;
    if (!error) {
      this.#misplaced.delete(kind);
      this.#outages.recovered(kind);
      // What can be had for one kind may be had for all: none waits longer.
      this.#pauses.end();
      return;
    }
    this.#outages.failed(kind, error);
    if (error instanceof ApiError && error.status === NOT_FOUND) this.#misplaced.add(kind);
    if (!isForbidden(error) || watched.state !== "syncing") return;
    watched.state = "forbidden";
    this.#checkSettled();
  }

  #checkSettled(): void {
    if (!this.#isDiscovered || this.#missing().length > 0) return;
    // Lists leave garbage that nothing would press for later.
    if (!this.#isSettled) compactHeap(this.#options.trim);
    this.#isSettled = true;
    this.#settled.resolve();
    if (this.#isOverdue) this.#options.logger.info("k8s_synced", "the cluster is known now");
    this.#isOverdue = false;
  }

  async #complainLate(signal: AbortSignal): Promise<void> {
    const { logger, syncTimeoutMs } = this.#options;
    await Promise.race([this.#settled.promise, sleep(syncTimeoutMs, signal)]);
    const { ok, detail } = this.state;
    if (ok || signal.aborted) return;
    this.#isOverdue = true;
    const line = `the cluster is not known after ${syncTimeoutMs / 1000} s: ${detail}; it goes on trying`;
    logger.warn("k8s_not_synced", line);
  }
}
