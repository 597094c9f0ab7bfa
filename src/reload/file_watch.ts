/** What tells one state of a file from another; `undefined` when it is not there. */
export type FileState = string | undefined;

export interface FileWatchOptions {
  /** Looks at the file, through symbolic links. */
  look: () => FileState;
  /** Called when the file has changed and has stayed so for one interval. */
  onChange: () => void;
  intervalMs?: number;
}

/** Time between two looks: a change is seen after one to two of them. */
const INTERVAL_MS = 1000;

/**
 * Looks whether a file has changed. A look follows all links, so it sees what editors and ConfigMaps do (rename over the
 * old, swap a link of the path), bind mounts and network file systems; inotify sees only some of these.
 */
export class FileWatch {
  readonly #options: FileWatchOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The state that `onChange` knows of, and the last one seen. */
  #known: FileState;
  #seen: FileState;

  constructor(options: FileWatchOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#timer !== undefined;
  }

  /** Takes what is there for known, and looks from now on. */
  start(): void {
    if (this.isRunning) return;
    this.#known = this.#seen = this.#options.look();
    this.#timer = setInterval(() => this.check(), this.#options.intervalMs ?? INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** One look. */
  check(): void {
    const before = this.#seen;
    this.#seen = this.#options.look();
    // Not while somebody writes.
    if (this.#seen !== before || this.#seen === this.#known) return;
    this.#known = this.#seen;
    this.#options.onChange();
  }
}

/** Looks at the file at `path`. */
export function fileState(path: string): FileState {
  try {
    const { dev, ino, size, mtime, ctime } = Deno.statSync(path);
    return [dev, ino, size, mtime?.getTime(), ctime?.getTime()].join(" ");
  } catch {
    return undefined; // Reading it says why.
  }
}
