/** Containers of the built image, run by podman. */

import { isAlive, type Namespace, ownerOf } from "../harness/netns.ts";
import { type Result, run, tryRun } from "../harness/process.ts";
import { until } from "../harness/wait.ts";

/** What `tools/image` writes. */
export const IMAGE_TAR = new URL("../../dist/mermin-image.tar", import.meta.url).pathname;

/** Loads the built image as a user does, and returns its id; names are shared by all clones on a machine. */
export async function loadImage(): Promise<string> {
  const loaded = await run(["podman", "load", "--quiet", "--input", IMAGE_TAR]);
  const name = /^Loaded image: (\S+)$/m.exec(loaded)![1];
  return (await run(["podman", "image", "inspect", "--format", "{{.Id}}", name])).trim();
}

/** Runs the image to its end, without a network. */
export function runImage(image: string, args: string[], options: string[] = []): Promise<Result> {
  return tryRun(["podman", "run", "--rm", "--network=none", "--read-only", ...options, image, ...args]);
}

export interface ContainerOptions {
  image: string;
  /** Where it runs, as `--network=host` on a host with this network. */
  network: Namespace;
  /** HCL, mounted as a file. */
  config: string;
  /** Arguments of `podman run`, such as capabilities. */
  rights: string[];
  /** Of the agent; also the container's name. */
  instance: string;
}

/** A running container; disposing removes it. */
export class Container implements AsyncDisposable {
  private constructor(readonly name: string, private readonly directory: string) {}

  static async start({ image, network, config, rights, instance }: ContainerOptions): Promise<Container> {
    await sweepContainers();
    const directory = await Deno.makeTempDir({ prefix: "mermin-container-" });
    const container = new Container(instance, directory);
    try {
      await Deno.writeTextFile(`${directory}/config.hcl`, config);
      await run([
        ...["podman", "run", "--detach", `--name=${instance}`, `--network=ns:${network.path}`],
        ...["-v", "/sys/fs/bpf:/sys/fs/bpf", "-v", `${directory}/config.hcl:/etc/mermin/config.hcl:ro`],
        ...[...rights, image, "--config", "/etc/mermin/config.hcl", "--instance", instance],
      ]);
      await container.#untilReady();
    } catch (error) {
      await container[Symbol.asyncDispose]();
      throw error;
    }
    return container;
  }

  async #untilReady(): Promise<void> {
    await until("the container to be ready", async () => {
      if (await this.inspect("{{.State.Running}}") !== "true") throw new Error(`It ended:\n${await this.logs()}`);
      return (await this.exec(["wget", "-q", "-O-", "http://localhost:8080/readyz"])).code === 0;
    });
  }

  /** Runs a command of the image beside the agent. */
  exec(command: string[]): Promise<Result> {
    return tryRun(["podman", "exec", this.name, ...command]);
  }

  /** What `podman inspect` says, by a Go template. */
  async inspect(format: string): Promise<string> {
    return (await run(["podman", "inspect", "--format", format, this.name])).trim();
  }

  async logs(): Promise<string> {
    const { stdout, stderr } = await tryRun(["podman", "logs", this.name]);
    return stdout + stderr;
  }

  /** Stops it in order and returns the agent's exit code. */
  async stop(): Promise<number> {
    await run(["podman", "stop", "--time=40", this.name]);
    return Number(await this.inspect("{{.State.ExitCode}}"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(["podman", "rm", "--force", "--ignore", "--time=0", this.name]);
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** Removes containers of tests that were killed. */
async function sweepContainers(): Promise<void> {
  const names = await run(["podman", "ps", "--all", "--format", "{{.Names}}"]);
  for (const name of names.split("\n")) {
    const owner = ownerOf(name, "i");
    if (owner !== undefined && !await isAlive(owner)) await run(["podman", "rm", "--force", "--ignore", name]);
  }
}
