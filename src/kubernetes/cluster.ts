/** The part of the agent that knows the cluster: watches it, and names the ends of flows. */

import type { FlowSpan } from "../flow/span.ts";
import type { Histogram } from "../metrics/histogram.ts";
import type { Logger } from "../log.ts";
import { type ClusterAccess, Connection } from "./api/access.ts";
import type { AddressIndex } from "./index/address_index.ts";
import { getObject } from "./api/api.ts";
import { Decorator } from "./describe/decorator.ts";
import { Describer } from "./describe/describe.ts";
import { OwnDaemonSet } from "./daemon_set.ts";
import { CLUSTER_NAMESPACE, type Identity, type IdentityIo, ownIdentity, ownPodPath } from "./identity.ts";
import { isForbidden } from "./api/outages.ts";
import { planOf } from "./plan.ts";
import { normalAddress } from "./index/claims.ts";
import { type Selection, selectionsOf } from "./model/selection.ts";
import type { DirectionsConfig, InformerConfig } from "./settings.ts";
import { sleep, within } from "./api/sleep.ts";
import { Store } from "./index/store.ts";
import type { Direction } from "./model/stored.ts";
import { Watches, type WatchesState } from "./watches.ts";

export interface ClusterOptions {
  readonly access: ClusterAccess;
  readonly informer: InformerConfig;
  readonly directions: DirectionsConfig;
  /** Flows are looked up so long after the first packet of their window, at most. */
  readonly retainMs: number;
  readonly logger: Logger;
  /** Takes how long each change of an object took, in seconds. */
  readonly indexSeconds: Histogram;
  /** Takes how long spans took, in seconds. */
  readonly decoratorSeconds: Histogram;
  /** Gives back to the system what the allocator keeps of freed memory. */
  readonly trim?: () => void;
  /** Kinds that the cluster lacks are asked for so often, in milliseconds. */
  readonly discoveryMs?: number;
  /** Objects that may no longer be read are kept so long, in milliseconds. */
  readonly forbiddenMs?: number;
}

const PURGE_MS = 10_000;
const STOP_MS = 1000;
/** A start does not wait longer to learn who the agent is. */
const IDENTITY_MS = 3000;

/** Runs from `start()` to `stop()`. */
export class Cluster {
  readonly #options: ClusterOptions;
  readonly #connection: Connection;
  readonly #store: Store;
  readonly #decorator: Decorator;
  readonly #index: AddressIndex;
  readonly #selections: readonly Selection[];
  readonly #watches: Watches;
  readonly #abort = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #uid = "";
  #name = "";
  #daemonSet: OwnDaemonSet | undefined;

  constructor(options: ClusterOptions) {
    const { informer, directions, retainMs, access } = options;
    this.#options = options;
    this.#connection = new Connection(access);
    this.#selections = selectionsOf(informer.selectors);
    const plan = planOf(informer, directions);
    this.#index = plan.index;
    this.#store = new Store({ ...plan, retainMs });
    this.#watches = new Watches({
      ...options,
      connection: this.#connection,
      selections: this.#selections,
      metadataOnly: plan.metadataOnly,
      store: this.#store,
      syncTimeoutMs: informer.informersSyncTimeoutMs,
      onAnswered: async (signal) => {
        await this.#daemonSet?.learn(signal);
        await this.#readUid(signal);
      },
    });
    const describer = (direction: Direction) =>
      new Describer({
        objects: this.#store,
        extractor: plan.extractors[direction],
        owners: informer.ownerRelations,
        relations: plan.relations,
        direction,
        cluster: () => ({ uid: this.#uid, name: this.#name }),
      });
    this.#decorator = new Decorator({
      index: plan.index,
      describers: { source: describer("source"), destination: describer("destination") },
      policies: plan.policies,
      seconds: options.decoratorSeconds,
      onError: (error) => this.#tellFault(error),
    });
  }

  /** Begins to watch, and returns at once. */
  start(): void {
    const { access, logger } = this.#options;
    logger.info("k8s_watching", `watches the cluster at ${access.server}, access from ${access.origin}`, {
      server: access.server,
    });
    const { signal } = this.#abort;
    this.#running = Promise.all([this.#watches.run(signal), this.#purge(signal)]);
    this.#running.catch((error) => logger.error("k8s_failed", `the watch of the cluster ended: ${error}`));
  }

  /** Who the agent is in the cluster, as far as that is known after a moment; before `start()`. */
  async identify(io: IdentityIo): Promise<Identity> {
    const { logger } = this.#options;
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(IDENTITY_MS)]);
    const identity = await ownIdentity(this.#connection, io, signal, (text) => logger.info("k8s_identity", text));
    this.#uid = identity.clusterUid ?? "";
    this.#daemonSet = new OwnDaemonSet({
      connection: this.#connection,
      podPath: ownPodPath(io),
      seen: (uid) => this.#store.ownerByUid(uid),
      logger,
    });
    return identity;
  }

  /** Why no other agent follows this one on its node, before `stop()`; `undefined` when one may, or after `timeoutMs`. */
  async whyNoSuccessor(timeoutMs: number): Promise<string | undefined> {
    return await this.#daemonSet?.whyGone(timeoutMs);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#watches.stop();
    this.#connection.close();
    // Nothing depends on the end of what still waits, such as a plugin for credentials.
    await within(STOP_MS, () => this.#running.catch(() => {})); // A failure was logged.
  }

  /** Resolves when everything that can be listed was, or after `timeoutMs`. */
  async untilSettled(timeoutMs: number): Promise<void> {
    await within(timeoutMs, () => this.#watches.settled);
  }

  /** Address of the node of the pod that has `address` now. */
  nodeOf(address: string): string | undefined {
    const status = this.#index.podAt(address, Date.now())?.object.status;
    return typeof status?.hostIP === "string" ? normalAddress(status.hostIP) : undefined;
  }

  decorate(span: FlowSpan): void {
    this.#decorator.decorate(span);
  }

  /** For the readiness. */
  get state(): WatchesState {
    return this.#watches.state;
  }

  /** What the cluster is called, on all ends that are found in it. */
  set name(name: string) {
    this.#name = name;
    this.#store.epoch++;
  }

  get uid(): string {
    return this.#uid;
  }

  /** For the metrics. */
  get figures() {
    return {
      decorator: this.#decorator.stats,
      watched: this.#watches.stats,
      objects: this.#selections.map(({ kind }) => ({ kind, count: this.#store.count(kind) })),
      addresses: this.#index.size,
    };
  }

  #tellFault(error: unknown): void {
    const line = `a flow is left without names by a fault of the program: ${error}; please report it`;
    this.#options.logger.error("k8s_decorator_failed", line);
  }

  async #readUid(signal: AbortSignal): Promise<void> {
    if (this.#uid !== "") return;
    try {
      this.#uid = (await getObject(this.#connection, CLUSTER_NAMESPACE, signal)).metadata.uid;
      this.#store.epoch++;
    } catch (error) {
      if (signal.aborted) return;
      const advice = isForbidden(error as Error) ? "allow to get namespaces" : "it is tried again in a while";
      const line = `the uid of the cluster is not known: ${(error as Error).message}; ${advice}`;
      this.#options.logger.info("k8s_uid_unknown", line);
    }
  }

  async #purge(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(PURGE_MS, signal);
      this.#store.purge();
    }
  }
}
