import assert from "node:assert/strict";
import type { ExporterStats } from "./export/exporter.ts";
import { type AgentState, healthChecks, healthFigures } from "./health.ts";
import { HealthServer } from "./server/health_server.ts";
import { listenOptions } from "./server/testing.ts";

function exporter(name: "otlp" | "stdout", change: Partial<ExporterStats> = {}): AgentState["exporters"][number] {
  const stats = { accepted: 9, delivered: 5, lost: {}, queued: 1, queuedBytes: 0, requests: 0, retries: 0, ...change };
  return { name, stats };
}

const WELL: AgentState = {
  isLoaded: true,
  isStopping: false,
  watcher: { attached: { size: 3 }, refused: 0 },
  get producer() {
    return { stats: { spans: 9, aliveAtMs: performance.now() } };
  },
  exporters: [exporter("otlp"), exporter("stdout")],
  cluster: undefined,
  loopLimitMs: 30_000,
};

/** Statuses of the three probes, and the checks that are not ok with what they say. */
async function probe(state: AgentState): Promise<{ statuses: number[]; bad: string[] }> {
  const health = new HealthServer({ ...listenOptions(), checks: healthChecks(() => state), metrics: () => ({}) });
  health.markStarted();
  const answers = ["/livez", "/readyz", "/startup"].map((path) =>
    health.handle(new Request(`http://localhost${path}`))
  );
  const { checks }: { checks: Record<string, { status: string; detail?: string }> } = await answers[0].json();
  const bad = Object.entries(checks).filter(([, { status }]) => status !== "ok");
  return { statuses: answers.map(({ status }) => status), bad: bad.map(([name, { detail }]) => `${name}: ${detail}`) };
}

Deno.test("healthChecks() let fail just the probes that are about what is wrong", async (t) => {
  const loop = (idleMs: number) => ({
    producer: {
      get stats() {
        return { spans: 0, aliveAtMs: performance.now() - idleMs };
      },
    },
  });
  const cases: [name: string, change: Partial<AgentState>, statuses: number[], bad: string[]][] = [
    ["all is well", {}, [200, 200, 200], []],
    ["a loop that is stuck", loop(31_000), [503, 200, 200], ["loop: stuck for 31 s"]],
    [
      "a cluster that is not known yet",
      { cluster: { state: { ok: false, detail: "not listed yet: Pod" } } },
      [200, 503, 200],
      ["kubernetes: not listed yet: Pod"],
    ],
    ["no loop yet", { producer: undefined }, [503, 200, 200], ["loop: not running"]],
    ["no programs", { isLoaded: false }, [503, 503, 503], ["capture: no programs are loaded"]],
    ["no interface that matches", { watcher: { attached: { size: 0 }, refused: 0 } }, [200, 200, 200], []],
    ["some interfaces refuse", { watcher: { attached: { size: 2 }, refused: 5 } }, [200, 200, 200], []],
    ["all interfaces refuse", { watcher: { attached: { size: 0 }, refused: 5 } }, [503, 200, 200], [
      "interfaces: 0 watched, 5 refuse the programs",
    ]],
    ["a collector that is away", { exporters: [exporter("otlp", { problem: "network: refused" })] }, [200, 200, 200], [
      "export_otlp: network: refused",
    ]],
    ["a stop", { isStopping: true, ...loop(Infinity) }, [200, 503, 200], ["running: stopping"]],
  ];
  for (const [name, change, statuses, bad] of cases) {
    await t.step(name, async () => {
      const state = Object.create(WELL, Object.getOwnPropertyDescriptors(change));
      assert.deepEqual(await probe(state), { statuses, bad });
    });
  }
});

Deno.test("healthChecks() show only the exporters that there are", async () => {
  const shown = async (exporters: AgentState["exporters"]) => {
    const state = Object.create(WELL, { exporters: { value: exporters } });
    const health = new HealthServer({ ...listenOptions(), checks: healthChecks(() => state), metrics: () => ({}) });
    const { checks } = await health.handle(new Request("http://localhost/livez")).json();
    return Object.keys(checks).filter((name) => name.startsWith("export_"));
  };
  assert.deepEqual(await shown([exporter("stdout")]), ["export_stdout"]);
  assert.deepEqual(await shown(WELL.exporters), ["export_otlp", "export_stdout"]);
  const left = { ...exporter("otlp"), isInUse: false };
  assert.deepEqual(await shown([left, exporter("stdout")]), ["export_stdout"], "a reload has left it out");
});

Deno.test("healthFigures() add up the exporters", () => {
  const exporters = [exporter("otlp", { lost: { queue_full: 2, refused: 1 } }), exporter("stdout")];
  assert.deepEqual(healthFigures(Object.create(WELL, { exporters: { value: exporters } })), {
    interfaces: 3,
    spans_created: 9,
    spans_delivered: 10,
    spans_waiting: 2,
    spans_lost: 3,
  });
});
