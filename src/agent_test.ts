import assert from "node:assert/strict";
import { Agent, type AgentOptions } from "./agent.ts";
import { LoaderError, type OpenReport } from "./capture/mod.ts";
import { FakeLoader, FakeSession, networkInterface } from "./capture/testing.ts";
import { runToEnd } from "./cli/run.ts";
import { document, type Plain, sources } from "./config/testing.ts";
import { FakeExporter, FakeLogger, settled, withFastClock } from "./export/testing.ts";
import { createHistograms } from "./metrics/histograms.ts";
import { recordValues } from "./flow/testing.ts";
import { newReloadCounts } from "./reload/reloader.ts";
import { type Config, loadConfig } from "./settings.ts";
import { Tracer } from "./traces/tracer.ts";

type File = { [name: string]: Plain };

const NO_SERVERS: File = { api: { enabled: false }, metrics: { enabled: false } };
const ETH0: File = { discovery: { instrument: { interfaces: ["eth0"] } } };
const never = new Promise<void>(() => {});

function configOf(file: File): Config {
  return loadConfig(sources({ path: "f", parse: () => document(file) })).config;
}

/** An agent on a kernel with `eth0`, with two exporters; all of them write into `calls`. */
function setUp({ file = {}, report = {}, options = {}, exporters, identified = Promise.resolve() }: {
  file?: File;
  report?: Partial<OpenReport>;
  options?: Partial<AgentOptions>;
  exporters?: FakeExporter[];
  /** When it is known who the agent is. */
  identified?: Promise<void>;
} = {}) {
  const session = new FakeSession();
  session.links = [networkInterface("eth0", 2)];
  const loader = new FakeLoader(session, report);
  const { calls } = session;
  const otlp = new FakeExporter(() => 0, "otlp", calls);
  const stdout = new FakeExporter(() => 0, "stdout", calls);
  const logger = new FakeLogger();
  const agent = new Agent({
    config: configOf({ ...NO_SERVERS, ...ETH0, ...file }),
    ...{ instance: "test", loader, logger },
    outputs: async () => {
      await identified;
      return { exporters: exporters ?? [otlp, stdout], createExporters: () => [], tracer: new Tracer([]) };
    },
    reloads: newReloadCounts(),
    histograms: createHistograms(),
    isInteractive: true,
    ...options,
  });
  return { agent, session, loader, otlp, stdout, logger, calls };
}

/** A port of the loopback address that somebody has. */
function takenPort(): Disposable & { port: number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return { port: (listener.addr as Deno.NetAddr).port, [Symbol.dispose]: () => listener.close() };
}

function freePort(): number {
  using taken = takenPort();
  return taken.port;
}

Deno.test("Agent starts and stops in the order in which flows go", async () => {
  const { agent, session, otlp, calls, logger } = setUp();
  await agent.start();
  session.due.push([recordValues()]);
  await agent.stop();
  await agent.run();
  assert.deepEqual(calls, [
    ...["start otlp", "start stdout", "attach eth0", "prune", "wait 5000"],
    ...["silence", "detach all", "sweep all", "read 1", "sweep all", "read 0"],
    ...["flush otlp", "flush stdout", "stop otlp", "stop stdout", "close"],
  ]);
  assert.equal(otlp.ports.length, 1);
  assert.ok(logger.lines.includes("info started"));
  assert.equal(logger.lines.filter((line) => line === "info exporter_stopped").length, 2);
});

Deno.test("Agent.stop() leaves in the kernel what on_exit says", async () => {
  const cases: [onExit: string, isInteractive: boolean, keeps: boolean][] = [
    ["auto", true, false],
    ["auto", false, true],
    ["keep", true, true],
    ["detach", false, false],
  ];
  for (const [on_exit, isInteractive, keeps] of cases) {
    const { agent, calls } = setUp({ file: { on_exit }, options: { isInteractive } });
    await agent.start();
    await agent.stop();
    assert.equal(calls.at(-1), keeps ? "close keep" : "close");
    assert.equal(calls.includes("detach all"), !keeps);
    assert.ok(calls.includes("sweep all"), "flows become spans in either case");
  }
});

Deno.test("Agent.start() that fails leaves nothing where nothing was, and what was there to the next try", async (t) => {
  const boom = new LoaderError("system", "boom");
  const cases: [name: string, isOpen: boolean, fail: (made: ReturnType<typeof setUp>) => void][] = [
    ["an exporter", false, ({ otlp }) => otlp.instead.set("start", () => Promise.reject(boom))],
    ["the session", false, ({ loader }) => loader.openError = boom],
    ["the list of interfaces", true, ({ session }) => session.failures.set("interfaces", boom)],
    ["attaching", true, ({ session }) => session.refusals.set("eth0", "system")],
    ["pruning", true, ({ session }) => session.failures.set("prune", boom)],
  ];
  for (const reused of [false, true]) {
    for (const [name, isOpen, fail] of cases) {
      await t.step(`${name}, reused ${reused}`, async () => {
        const made = setUp({ report: { reused }, file: { on_exit: "keep" } });
        fail(made);
        const { agent, calls, logger } = made;
        await assert.rejects(agent.start(), { name: "LoaderError" });
        await agent.stop();
        const closes = isOpen ? [reused ? "close keep" : "close"] : [];
        assert.deepEqual(calls.filter((call) => call.startsWith("close")), closes);
        assert.ok(!calls.includes("sweep all"));
        assert.ok(calls.includes("stop otlp"));
        assert.ok(!logger.lines.includes("info exporter_stopped"), "there were no spans to speak of");
      });
    }
  }
});

Deno.test("Agent.start() goes on without a server whose port is taken", async (t) => {
  for (const server of ["api", "metrics"]) {
    await t.step(server, async () => {
      using taken = takenPort();
      const { agent, logger } = setUp({ file: { [server]: { listen_address: "127.0.0.1", port: taken.port } } });
      await agent.start();
      await agent.stop();
      assert.equal(logger.lines[0], "error cannot_listen");
      assert.ok(logger.lines.includes("info started"));
    });
  }
});

Deno.test("Agent.start() answers every probe with 503 while it finds out who the agent is, and the metrics", async () => {
  const [api, metrics] = [freePort(), freePort()];
  const server = (port: number) => ({ listen_address: "127.0.0.1", port });
  const { promise: identified, resolve } = Promise.withResolvers<void>();
  const { agent, calls } = setUp({ file: { api: server(api), metrics: server(metrics) }, identified });
  const started = agent.start();
  const status = async (port: number, path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    await response.body?.cancel();
    return response.status;
  };
  const statuses = () => Promise.all(["/livez", "/readyz", "/startup"].map((path) => status(api, path)));
  assert.deepEqual([...await statuses(), await status(metrics, "/metrics")], [503, 503, 503, 200]);
  assert.deepEqual(calls, []);
  resolve();
  await started;
  assert.deepEqual(await statuses(), [200, 200, 200]);
  await agent.stop();
});

Deno.test("Agent.run() rejects when the producer fails, which ends the program with 1 after all is stopped", async () => {
  const { agent, session, calls, logger } = setUp();
  const ended = runToEnd(agent, never, logger);
  while (!calls.includes("wait 5000")) await settled();
  session.sweepError = new LoaderError("system", "map operation failed");
  session.endWait("timeout");
  assert.equal(await ended, 1);
  await assert.rejects(agent.run(), { message: "map operation failed" });
  assert.deepEqual(calls.slice(-2), ["stop stdout", "close"]);
});

Deno.test("Agent.stop() goes through with every step and then tells what failed", async () => {
  const { agent, session, otlp, calls, logger } = setUp();
  await agent.start();
  for (const method of ["detachAll", "close"]) session.failures.set(method, new Error(`no ${method}`));
  session.sweepError = new Error("no sweep");
  otlp.instead.set("flush", () => Promise.reject(new Error("no flush")));
  const remedy = "when that is mended, `mermin cleanup` removes what is left";
  await assert.rejects(agent.stop(), {
    message: `Cannot detach: no detachAll; ${remedy}; Cannot close the open flows: no sweep; ` +
      `Cannot send what otlp holds: no flush; Cannot let go of the kernel: no close; ${remedy}`,
  });
  assert.deepEqual(calls.slice(calls.indexOf("silence")), [
    ...["silence", "detach all", "sweep all", "flush otlp", "flush stdout", "stop otlp", "stop stdout", "close"],
  ]);
  assert.equal(logger.lines.filter((line) => line === "info exporter_stopped").length, 2);
});

Deno.test("Agent.stop() does not let an exporter that hangs take the others' time, or more than there is", async () => {
  for (const method of ["flush", "stop"] as const) {
    const { agent, otlp, calls } = setUp({ file: { shutdown_timeout: "50ms" } });
    otlp.instead.set(method, () => never);
    await agent.start();
    await agent.stop();
    // The other one does not wait for a flush that hangs.
    const stops = method === "flush" ? ["stop stdout", "stop otlp"] : ["stop otlp", "stop stdout"];
    assert.deepEqual(calls.slice(-5), ["flush otlp", "flush stdout", ...stops, "close"]);
  }
});

Deno.test("Agent.stop() holds open flows back for a slow exporter for the greater part of the timeout", async (t) => {
  // Any other sweep would wait for a second.
  const cases: [isSlowForMs: number, isBehind: boolean][] = [[15_000, false], [25_000, true]];
  for (const [isSlowForMs, expected] of cases) {
    await t.step(`${isSlowForMs} ms of 28 s`, async () => {
      let [startMs, isBehind, wasBehind] = [0, false, false];
      const slow = new FakeExporter(() => {
        isBehind = performance.now() - startMs < isSlowForMs;
        return isBehind ? 1_000_000 : 0;
      });
      slow.onExport = () => wasBehind = isBehind;
      const { agent, session } = setUp({ exporters: [slow] });
      await agent.start();
      session.due.push([recordValues()]);
      await withFastClock(200, async () => {
        startMs = performance.now();
        await agent.stop();
      });
      assert.equal(slow.ports.length, 1);
      assert.equal(wasBehind, expected);
    });
  }
});
