/** The agent under test: `bin/mermin` with a config file of its own. */

import { dirname } from "node:path";
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
  /** Of the RSS what is no page of a file, which others may share. */
  anonymousBytes: number;
}

export interface AgentOptions {
  /** Pins and locks are kept per instance; the same name takes over what an earlier agent left. */
  instance?: string;
  env?: Record<string, string>;
  /** Another copy of the agent than the built one. */
  program?: string;
  /** Its configuration file is a link in a directory, as Kubernetes mounts a ConfigMap. */
  asConfigMap?: boolean;
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
    readonly apiPort: number,
    public metricsPort: number,
    private readonly isConfigMap: boolean,
  ) {}

  /** Starts it and returns at once. */
  static async launch(settings: AgentSettings, options: AgentOptions = {}): Promise<Agent> {
    const directory = await Deno.makeTempDir({ prefix: "mermin-agent-" });
    // Another user must be able to read the file.
    await Deno.chmod(directory, 0o755);
    const [freeApiPort, freeMetricsPort] = freePorts(2);
    const { apiPort = freeApiPort, metricsPort = freeMetricsPort } = settings;
    const path = `${directory}/agent.hcl`;
    const isConfigMap = options.asConfigMap === true;
    await putConfig(directory, agentConfig({ ...settings, apiPort, metricsPort }), isConfigMap);
    if (isConfigMap) await run(["ln", "-s", "..data/agent.hcl", path]);
    const instance = options.instance ?? uniqueName("i");
    const command = [options.program ?? agentPath(), "--config", path, "--instance", instance];
    const process = Process.start(options.wrap?.(command) ?? command, options.env);
    return new Agent(process, instance, directory, apiPort, metricsPort, isConfigMap);
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

  /** Replaces its configuration file, in one step, by other settings or by what a text says. */
  async configure(settings: AgentSettings | string): Promise<void> {
    const { apiPort, metricsPort } = this;
    const text = typeof settings === "string" ? settings : agentConfig({ apiPort, metricsPort, ...settings });
    await putConfig(this.directory, text, this.isConfigMap);
  }

  /** Asks it to reload, and resolves when it has said `event` once more. */
  async reload(event: string): Promise<void> {
    const said = () => this.process.stderr.filter((line) => line.includes(`event=${event}`)).length;
    const before = said();
    this.process.signal("SIGHUP");
    await until(`${event} after SIGHUP`, () => said() > before);
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

  /** Interfaces that it watches now, by its own word. */
  async watched(): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${this.apiPort}/readyz`);
    return (await response.json()).metrics.interfaces;
  }

  metrics(): Promise<Metrics> {
    return fetchMetrics(`http://127.0.0.1:${this.metricsPort}/metrics`);
  }

  /** Every page of both servers, one after the other. */
  async pages(): Promise<string> {
    const health = ["/livez", "/readyz", "/startup"].map((path) => `${this.apiPort}${path}`);
    const metrics = ["/metrics", "/metrics/debug", "/metrics:summary"].map((path) => `${this.metricsPort}${path}`);
    const pages = [...health, ...metrics].map(async (page) => (await fetch(`http://127.0.0.1:${page}`)).text());
    return (await Promise.all(pages)).join("\n");
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
      anonymousBytes: kib("RssAnon") * 1024,
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

/** Puts a configuration where an agent reads it: renamed over the old one, or a link of the path swapped. */
async function putConfig(directory: string, text: string, isConfigMap: boolean): Promise<void> {
  const place = isConfigMap ? `${directory}/..${crypto.randomUUID()}` : directory;
  await Deno.mkdir(place, { recursive: true });
  await Deno.writeTextFile(`${place}/agent.hcl${isConfigMap ? "" : ".new"}`, text);
  if (!isConfigMap) return await Deno.rename(`${place}/agent.hcl.new`, `${place}/agent.hcl`);
  await Deno.chmod(place, 0o755);
  await run(["ln", "-s", place.slice(directory.length + 1), `${directory}/..data_tmp`]);
  await Deno.rename(`${directory}/..data_tmp`, `${directory}/..data`);
}

/** The name of an instance, with everything it pinned removed on disposal. */
export class Instance implements AsyncDisposable {
  readonly name = uniqueName("i");

  async [Symbol.asyncDispose](): Promise<void> {
    await cleanup(this.name);
  }
}

/** The built agent with its Deno, where every user can read it; there is a space in the path. */
export class PublicCopy implements AsyncDisposable {
  readonly path: string;
  private constructor(readonly directory: string) {
    this.path = `${directory}/bin/mermin`;
  }

  static async create(): Promise<PublicCopy> {
    const directory = await Deno.makeTempDir({ prefix: "mermin public-" });
    const copy = new PublicCopy(directory);
    await run(["cp", "-rL", dirname(agentPath()), `${directory}/bin`]);
    // The launcher prefers a Deno beside it.
    await run(["cp", Deno.execPath(), `${directory}/bin/deno`]);
    await Deno.mkdir(`${directory}/cache`);
    await Deno.chmod(`${directory}/cache`, 0o777);
    await Deno.chmod(directory, 0o755);
    return copy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}
