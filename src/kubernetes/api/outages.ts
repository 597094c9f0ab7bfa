/** What the log says of requests that fail: not a line per kind and try, but one when it begins and one when it is over. */

import type { Logger } from "../../log.ts";
import { ApiError } from "./api.ts";
import type { Kind } from "../model/kinds.ts";
import { sleep } from "./sleep.ts";

/** `forbidden`: the server says no; `failing`: everything else. */
type Trouble = "forbidden" | "failing";

interface Outage {
  readonly trouble: Trouble;
  /** Those that are still in it. */
  readonly kinds: Set<Kind>;
  /** The latest, which stands for all: the first may be that a connection broke. */
  error: Error;
  isTold: boolean;
}

export interface OutagesOptions {
  readonly logger: Logger;
  /** Where the credential comes from. */
  readonly origin: string;
  readonly sleep?: typeof sleep;
}

/** Kinds that fail within such a time share a line; what is over by then is not told, for the next try comes sooner. */
const GATHER_MS = 3000;
const FORBIDDEN = 403;
const UNAUTHORIZED = 401;

/** Kinds of objects whose requests fail, until `stop()`. */
export class Outages {
  readonly #options: OutagesOptions;
  readonly #byKind = new Map<Kind, Outage>();
  readonly #gathering = new Map<Trouble, Outage>();
  readonly #abort = new AbortController();

  constructor(options: OutagesOptions) {
    this.#options = options;
  }

  /** Whether the API server is known to fail, for more than a missing right. */
  get isFailing(): boolean {
    return [...this.#byKind.values()].some(({ trouble }) => trouble === "failing");
  }

  /** A request about `kind` failed. */
  failed(kind: Kind, error: Error): void {
    const trouble = isForbidden(error) ? "forbidden" : "failing";
    const known = this.#byKind.get(kind);
    if (known?.trouble === trouble) {
      known.error = error;
      return;
    }
    this.#leave(kind);
    const outage = this.#gathering.get(trouble) ?? this.#begin(trouble, error);
    outage.error = error;
    outage.kinds.add(kind);
    this.#byKind.set(kind, outage);
  }

  /** A request about `kind` was answered. */
  recovered(kind: Kind): void {
    const outage = this.#leave(kind);
    if (!outage?.isTold || outage.kinds.size > 0) return;
    const text = outage.trouble === "forbidden" ? "all of it may be read again" : "the API server answers again";
    this.#options.logger.info("k8s_recovered", text);
  }

  stop(): void {
    this.#abort.abort();
  }

  #leave(kind: Kind): Outage | undefined {
    const outage = this.#byKind.get(kind);
    outage?.kinds.delete(kind);
    this.#byKind.delete(kind);
    return outage;
  }

  #begin(trouble: Trouble, error: Error): Outage {
    const outage: Outage = { trouble, kinds: new Set(), error, isTold: false };
    this.#gathering.set(trouble, outage);
    this.#gather(outage);
    return outage;
  }

  async #gather(outage: Outage): Promise<void> {
    await (this.#options.sleep ?? sleep)(GATHER_MS, this.#abort.signal);
    this.#gathering.delete(outage.trouble);
    if (!this.#abort.signal.aborted) this.#tell(outage);
  }

  #tell(outage: Outage): void {
    const { logger, origin } = this.#options;
    // It was over before anybody could read of it.
    if (outage.kinds.size === 0) return;
    outage.isTold = true;
    const kinds = [...outage.kinds].join(", ");
    const { message } = outage.error;
    if (outage.trouble === "forbidden") {
      const line = `may not read ${kinds}: ${message}; allow list and watch, the rest goes on without them`;
      return logger.warn("k8s_forbidden", line, { kinds });
    }
    const why = isStatus(outage.error, UNAUTHORIZED)
      ? `the server refuses who we are (${origin}): ${message}`
      : message;
    logger.warn("k8s_watch_failed", `cannot watch ${kinds}: ${why}; names stay as they are and it is tried again`, {
      kinds,
    });
  }
}

/** Whether the server says no for want of a right. */
export function isForbidden(error: Error): boolean {
  return isStatus(error, FORBIDDEN);
}

function isStatus(error: Error, status: number): boolean {
  return error instanceof ApiError && error.status === status;
}
