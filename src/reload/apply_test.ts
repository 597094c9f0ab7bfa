import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { document, type Plain, sources } from "../config/testing.ts";
import { ReplaceableExporter } from "../export/replaceable_exporter.ts";
import { FakeExporter, FakeLogger } from "../export/testing.ts";
import { type FlowFilter, KEEP_ALL } from "../filter/filter.ts";
import { type Config, loadConfig } from "../settings.ts";
import { applySteps, inEffect, type Parts } from "./apply.ts";
import type { Step } from "./rules.ts";

type File = { [name: string]: Plain };

const configOf = (file: File): Config => loadConfig(sources({ path: "f", parse: () => document(file) })).config;

/** Parts that write down what is asked of them. */
function fakeParts() {
  const calls: string[] = [];
  const server = (name: string) => ({
    problem: undefined as string | undefined,
    debugMetricsEnabled: false,
    move(this: { problem?: string }, { listenAddress, port }: { listenAddress: string; port: number }) {
      calls.push(`${name} to ${listenAddress}:${port}`);
      return this.problem === undefined ? Promise.resolve() : Promise.reject(new Error(this.problem));
    },
    stop: () => Promise.resolve(void calls.push(`${name} stops`)),
  });
  const old = new FakeExporter(() => 0, "otlp");
  const created = [new FakeExporter(() => 0, "otlp"), new FakeExporter(() => 0, "stdout")];
  const logger = new FakeLogger();
  const parts = {
    producer: { filter: KEEP_ALL as FlowFilter, configure: () => void calls.push("configure") },
    watcher: {
      setPatterns: (patterns: readonly string[], discovers: boolean) =>
        void calls.push(`watch ${patterns} ${discovers}`),
    },
    ...{ health: server("health"), metrics: server("metrics"), series: { staleMs: 0 } },
    exporters: [new ReplaceableExporter(old, logger)],
    createExporters: (config: Config["export"]) => [config.otlp ? created[0] : created[1]],
    producerOptions: () => ({}) as ReturnType<Parts["producerOptions"]>,
    logger,
  };
  return { parts, calls, old, created };
}

const STEPS = (...steps: Step[]) => new Set(steps);

Deno.test("applySteps() does what the steps name and nothing else", async () => {
  const { parts, calls } = fakeParts();
  const after = configOf({
    discovery: { instrument: { interfaces: ["a", "b"], auto_discover_interfaces: false } },
    filter: { source: { port: { match: ["1"] } } },
    metrics: { port: 9, debug_metrics_enabled: true, stale_metric_ttl: "1m" },
    api: { enabled: false },
  });
  strictEqual((await applySteps(parts, configOf({}), after, STEPS("interfaces", "producer"))).size, 0);
  deepStrictEqual(calls.splice(0), ["watch a,b false", "configure"]);
  strictEqual((await applySteps(parts, configOf({}), after, STEPS("filter", "metrics", "api", "log", "stop"))).size, 0);
  deepStrictEqual(calls, ["metrics to 0.0.0.0:9", "health stops"]);
  deepStrictEqual([parts.metrics.debugMetricsEnabled, parts.series.staleMs], [true, 60_000]);
  strictEqual(parts.producer.filter === KEEP_ALL, false);
});

Deno.test("applySteps() replaces only the exporters whose settings differ, and adds those that are new", async () => {
  const { parts, old, created } = fakeParts();
  const otlp = { endpoint: "http://a:4317" };
  const before = configOf({ export: { traces: { otlp } } });
  const withStdout = configOf({ export: { traces: { otlp, stdout: "json" } } });
  await applySteps(parts, before, withStdout, STEPS("export"));
  deepStrictEqual(parts.exporters.map(({ name }) => name), ["otlp", "stdout"]);
  deepStrictEqual([old.calls, created[0].calls, created[1].calls], [[], [], ["start stdout"]]);
  const elsewhere = configOf({ export: { traces: { otlp: { endpoint: "http://b:4317" }, stdout: "json" } } });
  await applySteps(parts, withStdout, elsewhere, STEPS("export"));
  deepStrictEqual([created[0].calls, created[1].calls], [["start otlp"], ["start stdout"]]);
  strictEqual(old.calls.includes("flush otlp"), true);
});

Deno.test("applySteps() goes on after a step that fails; inEffect() keeps its settings", async () => {
  const { parts, calls, old, created } = fakeParts();
  parts.health.problem = "the port is taken";
  created[0].instead.set("start", () => Promise.reject(new Error("no such file")));
  const before = configOf({ export: { traces: { otlp: {} } } });
  const after = configOf({ api: { port: 1 }, metrics: { port: 2 }, export: { traces: { otlp: { timeout: "1s" } } } });
  const failed = await applySteps(parts, before, after, STEPS("export", "api", "metrics"));
  deepStrictEqual([...failed.keys()], ["export", "api"]);
  match(failed.get("export")!, /no such file/);
  deepStrictEqual(calls, ["health to 0.0.0.0:1", "metrics to 0.0.0.0:2"]);
  deepStrictEqual(old.calls, []);
  const { api, metrics, export: exported } = inEffect(before, after, failed);
  deepStrictEqual([api.port, metrics.port, exported.otlp?.timeoutMs], [8080, 2, 10_000]);
});
