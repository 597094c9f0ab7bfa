/** A control group with the limits that Kubernetes would set for a container. */

import { run } from "../harness/process.ts";

/** The benchmark may only run programs that are named beforehand; this one may run any. */
const ANYTHING = ["setpriv", "--pdeathsig", "KILL", "--"];
const ROOT = "/sys/fs/cgroup";
const MIB = 1024 * 1024;
/** As kubelets have it, in microseconds. */
const PERIOD = 100_000;

/** What a group may use: cores, and MiB. */
export interface Limits {
  readonly cpu: number;
  readonly memoryMib: number;
}

/** What became of it. */
export interface Charged {
  /** Memory of the kernel for it, the tables among them, included. */
  readonly peakMib: number;
  /** Share of the periods in which it wanted more CPU than it may have. */
  readonly throttled: number;
}

/** A group called after this process; disposing removes it, after its last process has ended. */
export class ControlGroup implements AsyncDisposable {
  private constructor(readonly folders: readonly string[], private readonly isV2: boolean) {}

  static async create({ cpu, memoryMib }: Limits): Promise<ControlGroup> {
    const isV2 = (await run([...ANYTHING, "stat", "-f", "-c", "%T", ROOT])).trim() === "cgroup2fs";
    const name = `mermin-bench-${Deno.pid}`;
    const folders = (isV2 ? [ROOT] : [`${ROOT}/memory`, `${ROOT}/cpu`]).map((folder) => `${folder}/${name}`);
    await run([...ANYTHING, "mkdir", ...folders]);
    const group = new ControlGroup(folders, isV2);
    const quota = Math.round(cpu * PERIOD);
    const memory = String(memoryMib * MIB);
    if (isV2) {
      await write(`${folders[0]}/memory.max`, memory);
      await write(`${folders[0]}/cpu.max`, `${quota} ${PERIOD}`);
    } else {
      await write(`${folders[0]}/memory.limit_in_bytes`, memory);
      await write(`${folders[1]}/cpu.cfs_period_us`, String(PERIOD));
      await write(`${folders[1]}/cpu.cfs_quota_us`, String(quota));
    }
    return group;
  }

  /** Puts a command into the group. */
  wrap = (command: string[]): string[] => {
    const enter = this.folders.map((folder) => `echo $$ >${folder}/cgroup.procs`).join(" && ");
    return ["sh", "-c", `${enter} && exec "$@"`, "sh", ...command];
  };

  async charged(): Promise<Charged> {
    const [memory, cpu = memory] = this.folders;
    const peak = await read(`${memory}/${this.isV2 ? "memory.peak" : "memory.max_usage_in_bytes"}`);
    const stat = await read(`${cpu}/cpu.stat`);
    const count = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(stat)![1]);
    return { peakMib: Number(peak) / MIB, throttled: count("nr_throttled") / Math.max(1, count("nr_periods")) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run([...ANYTHING, "rmdir", ...this.folders]);
  }
}

function read(path: string): Promise<string> {
  return run(["cat", path]);
}

async function write(path: string, text: string): Promise<void> {
  await run([...ANYTHING, "sh", "-c", `echo "$1" >"$2"`, "sh", text, path]);
}
