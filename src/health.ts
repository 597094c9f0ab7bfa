/** What the agent says of its own health. */

import type { Exporter } from "./export/exporter.ts";
import type { HealthCheck, HealthState } from "./server/health_server.ts";

/** The parts of the agent that can be well or not, as they are when it is asked. */
export interface AgentState {
  /** The programs are loaded. */
  readonly isLoaded: boolean;
  readonly isStopping: boolean;
  readonly watcher: { readonly attached: { readonly size: number }; readonly refused: number } | undefined;
  readonly producer: { readonly stats: { readonly spans: number; readonly aliveAtMs: number } } | undefined;
  readonly exporters: readonly Pick<Exporter, "name" | "stats" | "isInUse">[];
  /** `undefined` where there is none. */
  readonly cluster: { readonly state: HealthState } | undefined;
  /** The loop comes round at least so often, or it is taken for dead. */
  readonly loopLimitMs: number;
}

/**
 * Alive: the loop turns, and programs are attached wherever an interface matches. Ready: the programs are loaded, and no
 * stop has begun. An exporter that fails is only shown: an outage of the collector must not stop a rollout.
 */
export function healthChecks(state: () => AgentState): HealthCheck[] {
  return [
    { name: "loop", kinds: ["live"], check: () => loop(state()) },
    {
      name: "capture",
      kinds: ["live", "ready", "startup"],
      check: () => state().isLoaded ? { ok: true } : { ok: false, detail: "no programs are loaded" },
    },
    { name: "interfaces", kinds: ["live"], check: () => interfaces(state()) },
    {
      name: "running",
      kinds: ["ready"],
      check: () => state().isStopping ? { ok: false, detail: "stopping" } : { ok: true },
    },
    {
      name: "kubernetes",
      kinds: ["ready"],
      isShown: () => state().cluster !== undefined,
      check: () => state().cluster?.state ?? { ok: true },
    },
    ...(["otlp", "stdout"] as const).map((name) => ({
      name: `export_${name}`,
      kinds: [],
      isShown: () => state().exporters.some((exporter) => exporter.name === name && exporter.isInUse !== false),
      check: () => exporter(state(), name),
    })),
  ];
}

/** A few figures for people. */
export function healthFigures({ watcher, producer, exporters }: AgentState): Record<string, number> {
  const sum = (of: (stats: Exporter["stats"]) => number) =>
    exporters.reduce((total, { stats }) => total + of(stats), 0);
  return {
    interfaces: watcher?.attached.size ?? 0,
    spans_created: producer?.stats.spans ?? 0,
    spans_delivered: sum(({ delivered }) => delivered),
    spans_waiting: sum(({ queued }) => queued),
    spans_lost: sum(({ lost }) => Object.values(lost).reduce((total, count) => total + count, 0)),
  };
}

function loop({ producer, isStopping, loopLimitMs }: AgentState): HealthState {
  if (!producer) return { ok: false, detail: "not running" };
  // At a stop it has come to its end, and the time of the stop is limited.
  if (isStopping) return { ok: true, detail: "stopping" };
  const agoMs = performance.now() - producer.stats.aliveAtMs;
  return agoMs < loopLimitMs ? { ok: true } : { ok: false, detail: `stuck for ${Math.round(agoMs / 1000)} s` };
}

function interfaces({ watcher }: AgentState): HealthState {
  const [attached, refused] = [watcher?.attached.size ?? 0, watcher?.refused ?? 0];
  if (attached + refused === 0) return { ok: true, detail: "none matches yet" };
  return { ok: attached > 0, detail: `${attached} watched${refused > 0 ? `, ${refused} refuse the programs` : ""}` };
}

function exporter({ exporters }: AgentState, name: Exporter["name"]): HealthState {
  const problem = exporters.find((exporter) => exporter.name === name)?.stats.problem;
  return problem ? { ok: false, detail: problem } : { ok: true };
}
