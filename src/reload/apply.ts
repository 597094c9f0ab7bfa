/** Makes the parts of a running agent do what a new configuration says. */

import type { Exporter } from "../export/exporter.ts";
import { ReplaceableExporter } from "../export/replaceable_exporter.ts";
import { compileFilter } from "../filter/filter.ts";
import type { InterfaceWatcher } from "../interfaces/watcher.ts";
import type { Logger } from "../log.ts";
import type { Producer, ProducerOptions } from "../producer.ts";
import type { HealthServer } from "../server/health_server.ts";
import type { MetricsServer } from "../server/metrics_server.ts";
import type { Config } from "../settings.ts";
import { changedExporters } from "./changes.ts";
import type { Step } from "./rules.ts";

/** What a reload changes. */
export interface Parts {
  readonly producer: Pick<Producer, "configure" | "filter">;
  readonly watcher: Pick<InterfaceWatcher, "setPatterns">;
  readonly health: Pick<HealthServer, "move" | "stop">;
  readonly metrics: Pick<MetricsServer, "move" | "stop" | "debugMetricsEnabled">;
  readonly series: { staleMs: number };
  /** Those there are; one of a new kind is added. */
  readonly exporters: ReplaceableExporter[];
  readonly createExporters: (config: Config["export"]) => readonly Exporter[];
  /** Limits and bounds that follow from a configuration. */
  readonly producerOptions: (config: Config) => Pick<ProducerOptions, "limits" | "intervalMs" | "maxWaitingSpans">;
  readonly logger: Logger;
}

const NONE = { otlp: undefined, stdout: undefined };
/** Answers that are under way when a server moves have so long. */
const SERVER_BUDGET_MS = 1000;

/** Where the settings of a step stand that may fail. */
const KEY_OF = {
  interfaces: "instrument",
  filter: "filter",
  export: "export",
  api: "api",
  metrics: "metrics",
} as const;

/** What holds when the steps `failed`. */
export function inEffect(before: Config, after: Config, failed: ReadonlyMap<Step, string>): Config {
  const kept = Object.entries(KEY_OF).filter(([step]) => failed.has(step as Step)).map(([, key]) => [key, before[key]]);
  return { ...after, ...Object.fromEntries(kept) };
}

/** Does what `steps` name; resolves to why steps failed, by step: these parts are as they were. */
export async function applySteps(
  parts: Parts,
  before: Config,
  after: Config,
  steps: ReadonlySet<Step>,
): Promise<Map<Step, string>> {
  const apply: Partial<Record<Step, () => Promise<void> | void>> = {
    interfaces: () => parts.watcher.setPatterns(after.instrument.interfaces, after.instrument.autoDiscoverInterfaces),
    filter: () => {
      parts.producer.filter = compileFilter(after.filter);
    },
    export: () => replaceExporters(parts, before, after),
    producer: () => parts.producer.configure(parts.producerOptions(after)),
    api: () => serve(parts.health, before.api, after.api),
    metrics: async () => {
      await serve(parts.metrics, before.metrics, after.metrics);
      parts.metrics.debugMetricsEnabled = after.metrics.debugMetricsEnabled;
      parts.series.staleMs = after.metrics.staleMetricTtlMs;
    },
  };
  const failed = new Map<Step, string>();
  for (const step of steps) {
    try {
      await apply[step]?.();
    } catch (error) {
      failed.set(step, error instanceof Error ? error.message : String(error));
    }
  }
  return failed;
}

interface Server {
  move(to: { listenAddress: string; port: number }, budgetMs: number): Promise<void>;
  stop(budgetMs: number): Promise<void>;
}

interface ServerConfig {
  readonly enabled: boolean;
  readonly listenAddress: string;
  readonly port: number;
}

async function serve(server: Server, before: ServerConfig, after: ServerConfig): Promise<void> {
  if (!after.enabled) return await server.stop(SERVER_BUDGET_MS);
  const isThere = before.enabled && before.port === after.port && before.listenAddress === after.listenAddress;
  if (!isThere) await server.move(after, SERVER_BUDGET_MS);
}

/** Only those whose settings differ; each has the time of a stop for what it holds. */
async function replaceExporters(parts: Parts, before: Config, after: Config): Promise<void> {
  const changed = changedExporters(before.export, after.export);
  const created = changed.map((name) => ({
    name,
    next: after.export[name] && parts.createExporters({ ...NONE, [name]: after.export[name] })[0],
  }));
  // All of them can do it, or none is replaced.
  for (const { next } of created) await next?.start();
  for (const { name, next } of created) {
    const there = parts.exporters.find((exporter) => exporter.name === name);
    if (there) there.replace(next, before.shutdownTimeoutMs);
    else if (next) parts.exporters.push(new ReplaceableExporter(next, parts.logger));
  }
  parts.producer.configure(parts.producerOptions(after));
}
