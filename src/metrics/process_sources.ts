import process from "node:process";
import type { MetricSources } from "./table.ts";

/** Sources of the metrics about this process, as far as Deno tells them without a permission. */
export function processSources(): MetricSources {
  return {
    process_cpu_seconds_total: (emit) => {
      const { user, system } = process.cpuUsage();
      emit((user + system) / 1e6);
    },
    process_resident_memory_bytes: (emit) => emit(Deno.memoryUsage().rss),
    process_start_time_seconds: (emit) => emit(performance.timeOrigin / 1000),
  };
}
