/** What something was for some time; `undefined` while it was not there. Times are milliseconds since the epoch. */
export interface Version<T> {
  readonly value: T | undefined;
  readonly sinceMs: number;
  readonly untilMs: number;
}

interface Kept<T> {
  readonly value: T | undefined;
  readonly sinceMs: number;
  older: Kept<T> | undefined;
}

/** What something is and was. */
export class Versions<T> {
  #newest: Kept<T> | undefined;

  /** From `sinceMs` on, whatever was said of that time before. */
  set(value: T | undefined, sinceMs: number): void {
    this.#newest = { value, sinceMs, older: this.#newest };
  }

  get now(): T | undefined {
    return this.#newest?.value;
  }

  at(timeMs: number): Version<T> {
    let untilMs = Infinity;
    let version = this.#newest;
    for (; version && timeMs < version.sinceMs; version = version.older) untilMs = Math.min(untilMs, version.sinceMs);
    return { value: version?.value, sinceMs: version?.sinceMs ?? -Infinity, untilMs };
  }

  /** Forgets what it was before `beforeMs`; returns whether it has been gone since then, if it ever was. */
  purge(beforeMs: number): boolean {
    let version = this.#newest;
    while (version && beforeMs < version.sinceMs) version = version.older;
    if (version) version.older = undefined;
    return this.now === undefined && version === this.#newest;
  }
}
