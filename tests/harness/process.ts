/** Running other programs: to their end, or beside the test. */

import { until } from "./wait.ts";

/** What a program that ended left behind. */
export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `command` to its end, with `input` on its standard input, and returns whatever came out. */
export async function tryRun(command: string[], input = "", env: Record<string, string> = {}): Promise<Result> {
  const [name, ...args] = command;
  const child = new Deno.Command(name, { args, env, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  const written = writer.write(new TextEncoder().encode(input)).then(() => writer.close());
  const [output] = await Promise.all([child.output(), written.catch(ignoreClosedPipe)]);
  const decoder = new TextDecoder();
  return { code: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
}

/**
 * Runs `command` to its end and returns its standard output.
 *
 * @throws {Error} with its standard error when the exit code is not 0.
 */
export async function run(command: string[], input = ""): Promise<string> {
  const { code, stdout, stderr } = await tryRun(command, input);
  if (code !== 0) throw new Error(`"${command.join(" ")}" ended with ${code}: ${stderr || stdout}`);
  return stdout;
}

/** A program may end without reading its input; its exit code then tells what was wrong. */
function ignoreClosedPipe(error: unknown): void {
  if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
}

/** A program that runs beside the test, with its output kept line by line; disposing kills it. */
export class Process implements AsyncDisposable {
  readonly pid: number;
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  /** Resolves after the program has ended and its last line has been read. */
  readonly exited: Promise<Deno.CommandStatus>;
  #child: Deno.ChildProcess;
  #name: string;
  #status: Deno.CommandStatus | undefined;
  /** It has ended, although its last lines may not have been read. */
  #isGone = false;

  private constructor(child: Deno.ChildProcess, name: string) {
    this.#child = child;
    this.#name = name;
    this.pid = child.pid;
    const read = Promise.all([collectLines(child.stdout, this.stdout), collectLines(child.stderr, this.stderr)]);
    this.exited = (async () => {
      const status = await child.status;
      this.#isGone = true;
      await read;
      return this.#status = status;
    })();
  }

  /** Starts `command`; the kernel kills it when the test that started it dies. */
  static start(command: string[], env: Record<string, string> = {}): Process {
    const child = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", "--", ...command],
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Process(child, command.join(" "));
  }

  get running(): boolean {
    return this.#status === undefined;
  }

  /** Everything it wrote, for messages. */
  get output(): string {
    return [...this.stdout, ...this.stderr].join("\n");
  }

  /**
   * Resolves with the first line, of either stream, that matches.
   *
   * @throws {Error} with the output when the program ends without such a line.
   */
  waitForLine(pattern: RegExp, timeoutMs?: number): Promise<string> {
    return until(`${pattern} from "${this.#name}"`, () => {
      const running = this.running;
      const line = [...this.stdout, ...this.stderr].find((text) => pattern.test(text));
      if (!line && !running) throw new Error(`"${this.#name}" ended without ${pattern}:\n${this.output}`);
      return line;
    }, timeoutMs);
  }

  signal(name: Deno.Signal): void {
    if (!this.#isGone) this.#child.kill(name);
  }

  /** Closes its standard input, which is how our own programs are told to finish, and waits for the end. */
  async finish(): Promise<Deno.CommandStatus> {
    await this.#child.stdin.close();
    return await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
    // Closed already when finish() was called.
    await this.#child.stdin.close().catch(() => {});
  }
}

async function collectLines(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    lines.push(...parts);
  }
  if (rest) lines.push(rest);
}
