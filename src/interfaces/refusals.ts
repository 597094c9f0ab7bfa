/** Interfaces to which the programs cannot be attached: when to try again, and what to tell people. */

import type { LoaderError, LoaderErrorCode, NetworkInterface } from "../capture/loader.ts";
import type { Logger } from "../log.ts";

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
/** Interfaces that a line names. */
const NAMED = 5;

interface Refusal {
  readonly name: string;
  readonly code: LoaderErrorCode;
  readonly waitMs: number;
  readonly nextMs: number;
}

/** An interface and why it refused. */
export interface Refused {
  readonly found: NetworkInterface;
  readonly error: LoaderError;
}

/** What to do about an error when attaching. */
function adviceFor(code: LoaderErrorCode): string {
  switch (code) {
    case "limit":
      return "; allow the agent more open files (LimitNOFILE= of its service, ulimit -n) or memory";
    case "permission":
      return "; it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and on kernels before 5.11 enough RLIMIT_MEMLOCK";
    default:
      return "";
  }
}

/** Remembers who refused, by index; each is tried again after 1 s, 2 s, … 60 s. */
export class Refusals {
  readonly #byIndex = new Map<number, Refusal>();

  constructor(readonly logger: Logger) {}

  get size(): number {
    return this.#byIndex.size;
  }

  /** Whether the interface may be tried at `nowMs`: it has not refused, is another one now, or has waited. */
  mayTry({ index, name }: NetworkInterface, nowMs: number): boolean {
    const refusal = this.#byIndex.get(index);
    return !refusal || refusal.name !== name || nowMs >= refusal.nextMs;
  }

  /** Milliseconds until the next interface may be tried; `Infinity` when none waits. */
  untilNextMs(nowMs: number): number {
    let nextMs = Infinity;
    for (const refusal of this.#byIndex.values()) nextMs = Math.min(nextMs, refusal.nextMs);
    return Math.max(0, nextMs - nowMs);
  }

  /** Notes who refused in one scan, and tells of those that refuse for a new reason: one line per reason. */
  add(refused: readonly Refused[], nowMs: number): void {
    const news = refused.filter(({ found, error }) => this.#note(found, error.code, nowMs));
    for (const [code, group] of Map.groupBy(news, ({ error }) => error.code)) {
      const names = group.slice(0, NAMED).map(({ found }) => found.name).join(", ");
      const others = group.length > NAMED ? ` and ${group.length - NAMED} more interfaces refuse too` : "";
      this.logger.error(
        "attach_failed",
        `${group[0].error.message}${adviceFor(code)}${others}; will be tried again`,
        { interfaces: names, count: group.length, reason: code },
      );
    }
  }

  /** Forgets an interface that no longer refuses or is no longer meant. */
  delete(index: number): void {
    this.#byIndex.delete(index);
  }

  /** Forgets all but those for which `isMeant` is true. */
  keep(isMeant: (index: number) => boolean): void {
    for (const index of this.#byIndex.keys()) if (!isMeant(index)) this.#byIndex.delete(index);
  }

  /** Whether that is news. */
  #note({ index, name }: NetworkInterface, code: LoaderErrorCode, nowMs: number): boolean {
    const before = this.#byIndex.get(index);
    const isSame = before?.name === name && before.code === code;
    const waitMs = isSame ? Math.min(before.waitMs * 2, LONGEST_RETRY_MS) : FIRST_RETRY_MS;
    this.#byIndex.set(index, { name, code, waitMs, nextMs: nowMs + waitMs });
    return !isSame;
  }
}
