import assert from "node:assert/strict";
import { type HealthCheck, HealthServer, type HealthState, type Probe } from "./health_server.ts";
import { listenOptions } from "./testing.ts";

function serverWith(checks: HealthCheck[], { started = true } = {}): HealthServer {
  const server = new HealthServer({ ...listenOptions(), checks, metrics: () => ({ flows: 3 }) });
  if (started) server.markStarted();
  return server;
}

function check(name: string, kinds: Probe[], state: HealthState): HealthCheck {
  return { name, kinds, check: () => state };
}

async function answer(server: HealthServer, path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = server.handle(new Request(`http://localhost:8080${path}`));
  return { status: response.status, body: await response.json() };
}

const PATHS = ["/livez", "/readyz", "/startup"];

Deno.test("HealthServer answers ok with all checks and figures", async () => {
  const server = serverWith([check("capture", ["live", "ready", "startup"], { ok: true, detail: "4 programs" })]);
  for (const path of PATHS) {
    assert.deepEqual(await answer(server, path), {
      status: 200,
      body: { status: "ok", checks: { capture: { status: "ok", detail: "4 programs" } }, metrics: { flows: 3 } },
    });
  }
});

Deno.test("HealthServer answers 503 on every probe until the start is done", async () => {
  const server = serverWith([check("capture", [], { ok: true })], { started: false });
  for (const path of PATHS) {
    assert.deepEqual(await answer(server, path), {
      status: 503,
      body: {
        status: "unavailable",
        checks: { startup: { status: "unavailable", detail: "starting" }, capture: { status: "ok" } },
        metrics: { flows: 3 },
      },
    });
  }
  server.markStarted();
  for (const path of PATHS) assert.equal((await answer(server, path)).status, 200);
});

Deno.test("HealthServer lets a check fail its own probes only", async (t) => {
  const cases: { kinds: Probe[]; expected: number[] }[] = [
    { kinds: [], expected: [200, 200, 200] },
    { kinds: ["live"], expected: [503, 200, 200] },
    { kinds: ["ready"], expected: [200, 503, 200] },
    { kinds: ["startup", "ready"], expected: [200, 503, 503] },
  ];
  for (const { kinds, expected } of cases) {
    await t.step(kinds.join(" ") || "none", async () => {
      const server = serverWith([
        check("good", ["live"], { ok: true }),
        check("bad", kinds, { ok: false, detail: "away" }),
      ]);
      const answers = await Promise.all(PATHS.map((path) => answer(server, path)));
      assert.deepEqual(answers.map(({ status }) => status), expected);
      for (const { status, body } of answers) {
        assert.equal(body.status, status === 200 ? "ok" : "unavailable");
        assert.deepEqual(body.checks, { good: { status: "ok" }, bad: { status: "unavailable", detail: "away" } });
      }
    });
  }
});

Deno.test("HealthServer takes a check that throws for a failed one", async () => {
  const server = serverWith([{
    name: "capture",
    kinds: ["ready"],
    check: () => {
      throw new Error("no map");
    },
  }]);
  assert.equal((await answer(server, "/livez")).status, 200);
  const { status, body } = await answer(server, "/readyz");
  assert.equal(status, 503);
  assert.deepEqual(body.checks, { capture: { status: "unavailable", detail: "check failed: Error: no map" } });
});

Deno.test("HealthServer answers 404 with the paths there are", async () => {
  const server = serverWith([]);
  for (const path of ["/", "/livez/", "/healthz", "/constructor"]) {
    assert.deepEqual(await answer(server, path), { status: 404, body: { error: "not found", paths: PATHS } });
  }
  assert.equal((await answer(server, "/livez?verbose")).status, 200);
});
