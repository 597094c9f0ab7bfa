/** What the kernel holds of ours: programs on hooks, links, pins. */

import type { End } from "./netns.ts";
import { run, tryRun } from "./process.ts";
import type { Hooks, Traffic } from "./traffic.ts";

/** Where all instances keep their pins. */
export const PIN_ROOT = "/sys/fs/bpf/mermin";

/** Program ids on both hooks of `end`, TCX and clsact together. */
export async function attachedPrograms(
  traffic: Traffic,
  end: Pick<End, "namespace" | "interfaceName">,
): Promise<Hooks> {
  const tcx = await traffic.hooks(end.namespace, end.interfaceName);
  const clsact = async (direction: keyof Hooks) => {
    // Without a clsact qdisc tc says so and fails.
    const listed = await end.namespace.tryRun(["tc", "-j", "filter", "show", "dev", end.interfaceName, direction]);
    const filters: { options?: { prog?: { id: number } } }[] = listed.code === 0
      ? JSON.parse(listed.stdout || "[]")
      : [];
    return filters.flatMap(({ options }) => options?.prog ? [options.prog.id] : []);
  };
  return {
    ingress: [...tcx.ingress, ...await clsact("ingress")],
    egress: [...tcx.egress, ...await clsact("egress")],
  };
}

/** Everything under the pin directory of `instance`; empty when it is gone. */
export async function pins(instance: string): Promise<string[]> {
  const { code, stdout } = await tryRun(["find", `${PIN_ROOT}/${instance}`, "-mindepth", "1"]);
  return code === 0 ? stdout.split("\n").filter((path) => path !== "") : [];
}

/** Those of `ids` that the kernel still holds; it frees programs a moment after the last reference. */
export async function livingPrograms(ids: number[]): Promise<number[]> {
  const programs: { id: number }[] = JSON.parse(await run(["bpftool", "-j", "prog", "show"]));
  return programs.map(({ id }) => id).filter((id) => ids.includes(id));
}

/** Runs and nanoseconds of the given programs, counted while `kernel.bpf_stats_enabled` is 1. */
export async function programStatistics(ids: number[]): Promise<{ runs: number; nanoseconds: number }> {
  const shown: { id: number; run_cnt?: number; run_time_ns?: number }[] = JSON.parse(
    await run(["bpftool", "-j", "prog", "show"]),
  );
  const ours = shown.filter(({ id }) => ids.includes(id));
  return {
    runs: ours.reduce((sum, { run_cnt = 0 }) => sum + run_cnt, 0),
    nanoseconds: ours.reduce((sum, { run_time_ns = 0 }) => sum + run_time_ns, 0),
  };
}
