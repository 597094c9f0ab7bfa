/** The agent under test: `bin/mermin` with a config file of its own. */

import { agentConfig, type AgentSettings } from "./agent_config.ts";
import { fetchMetrics, type Metrics } from "./metrics.ts";
import { isAlive, ownerOf, uniqueName } from "./netns.ts";
import { Process, type Result, run, tryRun } from "./process.ts";
import { PIN_ROOT } from "./programs.ts";
import { freePorts, until } from "./wait.ts";

/** `USER_HZ`: the unit of CPU time in /proc on every architecture we build for. */
const TICKS_PER_SECOND = 100;

/** What the kernel knows of the agent's process, all threads together. */
export interface Usage {
  cpuSeconds: number;
  rssBytes: number;
  peakRssBytes: number;
}

export interface AgentOptions {
  /** Pins and locks are kept per instance; the same name takes over what an earlier agent left. */
  instance?: string;
  env?: Record<string, string>;
  /** Another copy of the agent than the built one. */
  program?: string;
  /** Puts another program in front, such as `unshare -m`. */
  wrap?: (command: string[]) => string[];
}

/** Path of the built agent. */
export function agentPath(): string {
  return new URL("../../bin/mermin", import.meta.url).pathname;
}

/** Mounts bpffs, as every host with systemd has it, and removes what killed tests left pinned there. */
export async function prepareBpffs(): Promise<void> {
  const mounted = await tryRun(["mountpoint", "-q", "/sys/fs/bpf"]);
  if (mounted.code !== 0) await run(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"]);
  const { stdout } = await tryRun(["ls", PIN_ROOT]);
  for (const name of stdout.split("\n")) {
    const owner = ownerOf(name, "i");
    if (owner !== undefined && !await isAlive(owner)) await cleanup(name);
  }
}

/** Removes every program, link and pin of an instance. */
export async function cleanup(instance: string): Promise<void> {
  await run([agentPath(), "cleanup", "--instance", instance]);
}

/** A running agent; disposing kills it, the instance's pins stay until {@linkcode Instance} is disposed. */
export class Agent implements AsyncDisposable {
  private constructor(
    readonly process: Process,
    readonly instance: string,
    private readonly directory: string,
    private readonly apiPort: number,
    private readonly metricsPort: number,
  ) {}

  /** Starts it and returns at once. */
  static async launch(settings: AgentSettings, options: AgentOptions = {}): Promise<Agent> {
    const directory = await Deno.makeTempDir({ prefix: "mermin-agent-" });
    // Another user must be able to read the file.
    await Deno.chmod(directory, 0o755);
    const [apiPort, metricsPort] = freePorts(2);
    const path = `${directory}/agent.hcl`;
    await Deno.writeTextFile(path, agentConfig({ apiPort, metricsPort, ...settings }));
    const instance = options.instance ?? uniqueName("i");
    const command = [options.program ?? agentPath(), "--config", path, "--instance", instance];
    const process = Process.start(options.wrap?.(command) ?? command, options.env);
    return new Agent(process, instance, directory, apiPort, metricsPort);
  }

  /** Starts it and resolves when it is ready: its programs are attached. */
  static async start(settings: AgentSettings, options: AgentOptions = {}): Promise<Agent> {
    const agent = await Agent.launch(settings, options);
    try {
      await agent.untilReady();
    } catch (error) {
      await agent[Symbol.asyncDispose]();
      throw error;
    }
    return agent;
  }

  async untilReady(): Promise<void> {
    await until("the agent to be ready", async () => {
      if (!this.process.running) throw new Error(`The agent ended before it was ready:\n${this.process.output}`);
      return await this.probe("/readyz") === 200;
    });
  }

  /** Status of a health probe; 0 while the port refuses. */
  async probe(path: "/livez" | "/readyz" | "/startup"): Promise<number> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.apiPort}${path}`);
      await response.body?.cancel();
      return response.status;
    } catch (error) {
      if (error instanceof TypeError) return 0;
      throw error;
    }
  }

  metrics(): Promise<Metrics> {
    return fetchMetrics(`http://127.0.0.1:${this.metricsPort}/metrics`);
  }

  async usage(): Promise<Usage> {
    const stat = await run(["cat", `/proc/${this.process.pid}/stat`]);
    // Fields after the command's name, which may contain spaces: utime and stime are numbers 14 and 15 of all.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const status = await run(["cat", `/proc/${this.process.pid}/status`]);
    const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]);
    return {
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
      rssBytes: kib("VmRSS") * 1024,
      peakRssBytes: kib("VmHWM") * 1024,
    };
  }

  /** Stops it in order and returns the exit code. */
  async stop(): Promise<number> {
    this.process.signal("SIGTERM");
    return (await this.process.exited).code;
  }

  /** Kills it as the kernel would under memory pressure. */
  async kill(): Promise<void> {
    this.process.signal("SIGKILL");
    await this.process.exited;
  }

  /** Runs it to an end that must come by itself. */
  async result(): Promise<Result> {
    const { code } = await this.process.exited;
    return { code, stdout: this.process.stdout.join("\n"), stderr: this.process.stderr.join("\n") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** The name of an instance, with everything it pinned removed on disposal. */
export class Instance implements AsyncDisposable {
  readonly name = uniqueName("i");

  async [Symbol.asyncDispose](): Promise<void> {
    await cleanup(this.name);
  }
}
