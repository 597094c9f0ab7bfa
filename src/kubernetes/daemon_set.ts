/** The DaemonSet that runs the agent: as long as it is there, a successor follows a stopped agent. */

import type { Logger } from "../log.ts";
import type { Connection } from "./api/access.ts";
import { ApiError, getObject, NOT_FOUND } from "./api/api.ts";
import { controllerOf } from "./model/object.ts";
import { sleep, within } from "./api/sleep.ts";
import type { Stored } from "./model/stored.ts";
import { PAUSE_MS } from "./watches.ts";

/** Helm deletes the agent's account (401) and rights (403) right after its DaemonSet. */
const REFUSALS = new Set([401, 403]);
/** What the API server has told a watch is taken by then. */
const SEEN_MS = 2 * PAUSE_MS;

export interface OwnDaemonSetOptions {
  readonly connection: Connection;
  /** Of the agent's pod in the API; left out outside of a cluster. */
  readonly podPath: string | undefined;
  /** What watches have seen of the DaemonSet with that uid; `undefined` when none is for it. */
  readonly seen: (uid: string) => Stored | undefined;
  readonly logger: Logger;
}

/** Path in the API, and uid. */
interface Found {
  readonly path: string;
  readonly uid: string;
}

/** Knows the DaemonSet from when it could be read once: a refusal says nothing to an agent that was never let read it. */
export class OwnDaemonSet {
  readonly #options: OwnDaemonSetOptions;
  #podPath: string | undefined;
  #found: Found | undefined;
  #isRefused = false;

  constructor(options: OwnDaemonSetOptions) {
    this.#options = options;
    this.#podPath = options.podPath;
  }

  /** Finds and reads it, unless that was done or the pod has none. */
  async learn(signal: AbortSignal): Promise<void> {
    if (this.#podPath === undefined) return;
    try {
      this.#found = await this.#find(this.#podPath, signal);
      this.#podPath = undefined;
    } catch (error) {
      if (signal.aborted || this.#isRefused) return;
      this.#isRefused = true;
      const line = `cannot read its own pod and DaemonSet: ${(error as Error).message}; allow to get both`;
      this.#options.logger.info("k8s_daemon_set_unknown", `${line}, or its programs stay after an uninstallation`);
    }
  }

  /**
   * Why no successor follows: the DaemonSet is gone, is being deleted, or can no longer be read and no watch has it either.
   * `undefined` when one may follow: it is there, or nobody can tell, also within `timeoutMs`.
   */
  async whyGone(timeoutMs: number): Promise<string | undefined> {
    const found = this.#found;
    return found && await within(timeoutMs, (signal) => this.#ask(found, signal));
  }

  async #find(podPath: string, signal: AbortSignal): Promise<Found | undefined> {
    const { connection } = this.#options;
    const pod = await getObject(connection, podPath, signal);
    const controller = controllerOf(pod);
    if (controller?.kind !== "DaemonSet") return undefined;
    const path = `/apis/apps/v1/namespaces/${pod.metadata.namespace}/daemonsets/${controller.name}`;
    const { metadata: { uid } } = await getObject(connection, path, signal);
    return { path, uid };
  }

  async #ask({ path, uid }: Found, signal: AbortSignal): Promise<string | undefined> {
    try {
      const { metadata } = await getObject(this.#options.connection, path, signal);
      return metadata.deletionTimestamp === undefined ? undefined : "its DaemonSet is being deleted";
    } catch (error) {
      // An API server that does not answer is no reason to lose what a successor could take over.
      if (!(error instanceof ApiError)) return undefined;
      const { status } = error;
      const isGone = status === NOT_FOUND || (REFUSALS.has(status) && !await this.#staysThere(uid, signal));
      return isGone ? `its DaemonSet is gone (${status})` : undefined;
    }
  }

  /** A pod that was deleted by force is refused, too, under a DaemonSet that stays: its token ends with it. */
  async #staysThere(uid: string, signal: AbortSignal): Promise<boolean> {
    if (!this.#isSeenThere(uid)) return false;
    await sleep(SEEN_MS, signal);
    return this.#isSeenThere(uid);
  }

  #isSeenThere(uid: string): boolean {
    const seen = this.#options.seen(uid);
    return seen?.goneMs === Infinity && seen.object.metadata.deletionTimestamp === undefined;
  }
}
