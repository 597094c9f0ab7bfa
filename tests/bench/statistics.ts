/** The kernel's statistics about BPF programs. */

import { run } from "../harness/process.ts";

const STATISTICS = "kernel.bpf_stats_enabled";

/** Runs `body` while the kernel measures its BPF programs, which costs a little for each packet. */
export async function withProgramStatistics<T>(body: () => Promise<T>): Promise<T> {
  const old = (await run(["sysctl", "-n", STATISTICS])).trim();
  await run(["sysctl", "-qw", `${STATISTICS}=1`]);
  try {
    return await body();
  } finally {
    await run(["sysctl", "-qw", `${STATISTICS}=${old}`]);
  }
}
