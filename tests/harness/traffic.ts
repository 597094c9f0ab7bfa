/** The packet maker `tests/traffic`, run inside a namespace. */

import type { Frame } from "./frames.ts";
import type { End, Namespace, Network } from "./netns.ts";
import { type Process, run } from "./process.ts";

const CRATE = new URL("../traffic/", import.meta.url).pathname;

type Options = Record<string, string | number>;

/** What `converse` did. */
export interface Conversed {
  flows: number;
  repeated: number;
}

/** What `blast` handed to the kernel; `ports` holds source port and packets of each flow. */
export interface Blasted {
  sent: number;
  refused: number;
  seconds: number;
  ports: [number, number][];
}

/** What `newflows` did. */
export interface NewFlows {
  flows: number;
  refused: number;
  seconds: number;
  rate: number;
}

/** Program ids on an interface's TCX hooks, in the order they run. */
export interface Hooks {
  ingress: number[];
  egress: number[];
}

/** The built program. */
export class Traffic {
  private constructor(private readonly program: string) {}

  /** Builds it, which takes a moment only after a change. */
  static async build(): Promise<Traffic> {
    await run(["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", `${CRATE}Cargo.toml`]);
    return new Traffic(`${CRATE}target/release/traffic`);
  }

  converse(namespace: Namespace, options: Options): Promise<Conversed> {
    return this.#run(namespace, "converse", options);
  }

  blast(namespace: Namespace, options: Options): Promise<Blasted> {
    return this.#run(namespace, "blast", options);
  }

  newFlows(namespace: Namespace, options: Options): Promise<NewFlows> {
    return this.#run(namespace, "newflows", options);
  }

  raw(namespace: Namespace, options: Options): Promise<{ sent: number }> {
    return this.#run(namespace, "raw", options);
  }

  ping(namespace: Namespace, options: Options): Promise<{ sent: number; received: number }> {
    return this.#run(namespace, "ping", options);
  }

  /** Tries to connect to closed ports, one after the other. */
  scan(namespace: Namespace, options: Options): Promise<{ open: number; refused: number }> {
    return this.#run(namespace, "scan", options);
  }

  /** Sends frames made by the test; they leave in the order of their times, from the ends of `network`. */
  async play({ left, right }: Network, frames: Frame[]): Promise<void> {
    const from = ({ namespace, interfaceName }: End) => `${namespace.path}:${interfaceName}`;
    const placed = frames.map((frame) => ({ ...frame, place: frame.from === "left" ? 0 : 1 }));
    await this.playAt(left.namespace, [from(left), from(right)], placed);
  }

  /** The same from any places, `NAMESPACE_PATH:INTERFACE`, which frames name by number. */
  async playAt(
    namespace: Namespace,
    places: string[],
    frames: { place: number; atMs: number; bytes: Uint8Array }[],
  ): Promise<void> {
    const lines = frames.toSorted((a, b) => a.atMs - b.atMs)
      .map(({ place, atMs, bytes }) => `${place} ${atMs} ${bytes.toHex()}\n`);
    await namespace.run(this.#command("play", { places: places.join(",") }), lines.join(""));
  }

  hooks(namespace: Namespace, interfaceName: string): Promise<Hooks> {
    return this.#run(namespace, "hooks", { interface: interfaceName });
  }

  /** Steps the wall clock of this machine for `holdMs`; resolves when it is right again. */
  async stepClock(namespace: Namespace, seconds: number, holdMs: number): Promise<void> {
    // Not a `Process`: that would be killed with the test, and the clock would stay wrong.
    await namespace.run(this.#command("clock", { seconds, "hold-ms": holdMs }));
  }

  /** Starts the answering side of `converse`; resolves when it listens. */
  serve(namespace: Namespace, port: number): Promise<Process> {
    return this.#startReady(namespace, "serve", { port });
  }

  /** Starts a receiver that takes UDP on ports from `port` on and never answers; resolves when it listens. */
  sink(namespace: Namespace, port: number, ports: number): Promise<Process> {
    return this.#startReady(namespace, "sink", { port, ports });
  }

  /** Starts `converse` beside the test; disposing breaks it off. */
  startConverse(namespace: Namespace, options: Options): Process {
    return namespace.start(this.#command("converse", options));
  }

  /** Starts `blast` until {@linkcode finishBlast}. */
  startBlast(namespace: Namespace, options: Options): Process {
    return namespace.start(this.#command("blast", { ...options, "until-eof": 1 }));
  }

  #command(name: string, options: Options): string[] {
    return [this.program, name, ...Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)])];
  }

  async #run<T>(namespace: Namespace, name: string, options: Options): Promise<T> {
    return JSON.parse(await namespace.run(this.#command(name, options)));
  }

  async #startReady(namespace: Namespace, name: string, options: Options): Promise<Process> {
    const process = namespace.start(this.#command(name, options));
    await process.waitForLine(/^ready$/);
    return process;
  }
}

/** Ends a blast and returns what it sent. */
export async function finishBlast(process: Process): Promise<Blasted> {
  const { code } = await process.finish();
  if (code !== 0) throw new Error(`blast ended with ${code}: ${process.output}`);
  return JSON.parse(process.stdout.join("\n"));
}
