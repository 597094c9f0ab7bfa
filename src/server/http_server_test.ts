import assert from "node:assert/strict";
import { HttpServer } from "./http_server.ts";
import { HealthServer } from "./health_server.ts";
import { MetricsServer, type MetricsServerOptions } from "./metrics_server.ts";
import { OPENMETRICS_TEXT, PROMETHEUS_TEXT } from "../metrics/format.ts";
import { METRICS } from "../metrics/table.ts";
import { listenOptions } from "./testing.ts";

/** Runs `body` against a started server and stops it. */
async function serving(
  server: { port: number | undefined; start(): void; stop(budgetMs: number): Promise<void> },
  body: (base: string) => Promise<void>,
): Promise<void> {
  server.start();
  try {
    await body(`http://127.0.0.1:${server.port}`);
  } finally {
    await server.stop(1000);
  }
}

Deno.test("HttpServer answers GET and HEAD, and nothing else", async () => {
  const server = new HttpServer(listenOptions(), () => new Response("hello"));
  await serving(server, async (base) => {
    const get = await fetch(base);
    assert.equal(await get.text(), "hello");
    assert.equal(get.headers.get("cache-control"), "no-store");

    const head = await fetch(base, { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(head.headers.get("content-length"), "5");
    assert.equal(await head.text(), "");

    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await fetch(base, { method });
      assert.equal(response.status, 405, method);
      assert.equal(response.headers.get("allow"), "GET, HEAD");
      await response.body?.cancel();
    }
  });
});

Deno.test("HttpServer answers 500 and logs when its handler fails", async () => {
  const lines: string[] = [];
  const server = new HttpServer(listenOptions(lines), () => Promise.reject(new Error("no table")));
  await serving(server, async (base) => {
    const response = await fetch(`${base}/x`);
    assert.equal(response.status, 500);
    assert.ok(!(await response.text()).includes("no table"));
  });
  assert.equal(lines.length, 1);
  assert.match(lines[0], /"event":"request_failed".*no table/);
});

Deno.test("HttpServer.start() says what to do when it can't listen", async (t) => {
  const holder = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = holder.addr as Deno.NetAddr;
  const cases = [
    {
      name: "port taken",
      options: { port },
      says: `Cannot listen on 127.0.0.1 port ${port} (api): another program has this port; ` +
        `stop it or set api.port to a free one`,
    },
    {
      name: "not an address of this host",
      options: { listenAddress: "192.0.2.1" },
      says: `Cannot listen on 192.0.2.1 port 0 (api): this host has no such address; ` +
        `set api.listen_address to one it has, or to 0.0.0.0`,
    },
  ];
  for (const { name, options, says } of cases) {
    await t.step(name, async () => {
      const lines: string[] = [];
      const server = new HttpServer({ ...listenOptions(lines), ...options }, () => new Response());
      server.start();
      await server.stop(0);
      const [{ event, level, message }] = lines.map((line) => JSON.parse(line));
      assert.deepEqual([event, level], ["cannot_listen", "error"]);
      assert.equal(message, `${says}; the agent goes on without it and tries again`);
    });
  }
  holder.close();
});

Deno.test({
  name: "HttpServer.start() names the permission that Deno lacks",
  permissions: { net: ["127.0.0.1:1"] },
  fn: async () => {
    const lines: string[] = [];
    const server = new HttpServer({ ...listenOptions(lines), port: 8080 }, () => new Response());
    server.start();
    await server.stop(0);
    assert.match(lines[0], /--allow-net=127\.0\.0\.1:8080/);
  },
});

Deno.test("HttpServer.start() listens as soon as the port is free", async () => {
  const holder = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = holder.addr as Deno.NetAddr;
  const lines: string[] = [];
  const server = new HttpServer({ ...listenOptions(lines), port, retryMs: 5 }, () => new Response("hello"));
  server.start();
  assert.equal(server.port, undefined);
  holder.close();
  while (server.port === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), "hello");
  assert.deepEqual(lines.map((line) => JSON.parse(line).event), ["cannot_listen", "listening"]);
  await server.stop(0);
});

Deno.test("HttpServer.stop() lets an answer finish", async () => {
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const server = new HttpServer(listenOptions(), async () => {
    asked.resolve();
    await release.promise;
    return new Response("done");
  });
  server.start();
  const response = fetch(`http://127.0.0.1:${server.port}`);
  await asked.promise;
  const stopped = server.stop(60_000);
  release.resolve();
  assert.equal(await (await response).text(), "done");
  await stopped;
});

Deno.test("HttpServer.stop() waits no longer than its budget, listens no more, and may be called again", async () => {
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const server = new HttpServer(listenOptions(), async () => {
    asked.resolve();
    await release.promise;
    return new Response("late");
  });
  await server.stop(0);
  server.start();
  const port = server.port!;
  const response = fetch(`http://127.0.0.1:${port}`);
  await asked.promise;
  await server.stop(1);
  await server.stop(1);
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }), Deno.errors.ConnectionRefused);
  release.resolve();
  assert.equal(await (await response).text(), "late");
});

Deno.test("HttpServer.stop() does not wait for an idle connection", async () => {
  const server = new HttpServer(listenOptions(), () => new Response("hello"));
  server.start();
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port! });
  await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  await connection.read(new Uint8Array(1024));
  await server.stop(60_000);
  connection.close();
});

Deno.test("HealthServer and MetricsServer work over the network", async () => {
  const health = new HealthServer({ ...listenOptions(), checks: [], metrics: () => ({}) });
  await serving(health, async (base) => {
    const before = await fetch(`${base}/livez`);
    assert.deepEqual([before.status, (await before.json()).status], [503, "unavailable"]);
    health.markStarted();
    const after = await fetch(`${base}/livez`);
    assert.deepEqual([after.status, await after.text()], [200, '{"status":"ok","checks":{},"metrics":{}}']);
  });

  await serving(metricsServer(false), async (base) => {
    for (const [accept, type] of [["*/*", PROMETHEUS_TEXT], [OPENMETRICS_TEXT, OPENMETRICS_TEXT]]) {
      const response = await fetch(`${base}/metrics`, { headers: { accept } });
      assert.equal(response.headers.get("content-type"), type);
      assert.equal(await response.text(), `${type} standard`);
    }
    const other = await fetch(`${base}/`);
    assert.equal(other.status, 404);
    assert.deepEqual((await other.json()).paths, [
      "/metrics",
      "/metrics/standard",
      "/metrics/debug",
      "/metrics:summary",
    ]);
  });
});

/** A server whose pages are the format and the categories that they were asked for. */
function metricsServer(debugMetricsEnabled: boolean): MetricsServer {
  const render: MetricsServerOptions["render"] = (type, categories) =>
    Promise.resolve(`${type} ${categories.join(" and ")}`);
  return new MetricsServer({ ...listenOptions(), debugMetricsEnabled, render });
}

Deno.test("MetricsServer shows debug metrics only where they are switched on", async () => {
  const cases: [hasDebug: boolean, path: string, status: number, categories: string][] = [
    [false, "/metrics", 200, "standard"],
    [false, "/metrics/standard", 200, "standard"],
    [false, "/metrics/debug", 404, ""],
    [true, "/metrics", 200, "standard and debug"],
    [true, "/metrics/standard", 200, "standard"],
    [true, "/metrics/debug", 200, "debug"],
  ];
  for (const [hasDebug, path, status, categories] of cases) {
    const response = await metricsServer(hasDebug).handle(new Request(`http://localhost:10250${path}`));
    assert.equal(response.status, status, `${path}, debug ${hasDebug}`);
    const body = await response.text();
    if (status === 200) assert.equal(body, `${PROMETHEUS_TEXT} ${categories}`);
    else assert.match(body, /set metrics\.debug_metrics_enabled = true/);
  }
});

Deno.test("MetricsServer tells of every metric in /metrics:summary", async () => {
  for (const hasDebug of [false, true]) {
    const response = await metricsServer(hasDebug).handle(new Request("http://localhost:10250/metrics:summary"));
    assert.equal(response.headers.get("content-type"), "application/json");
    const summary: Record<string, unknown>[] = await response.json();
    assert.deepEqual(summary.map(({ name }) => name), Object.keys(METRICS));
    assert.deepEqual(summary.find(({ name }) => name === "mermin_interface_bytes_total"), {
      name: "mermin_interface_bytes_total",
      type: "counter",
      help: METRICS.mermin_interface_bytes_total.help,
      labels: { interface: [], direction: ["ingress", "egress"] },
      category: "debug",
      enabled: hasDebug,
    });
    assert.equal(summary.filter(({ enabled }) => enabled).length === summary.length, hasDebug);
  }
});

Deno.test("HttpServer.move() listens at the new port before it leaves the old one, and keeps that when it cannot", async () => {
  const server = new HttpServer(listenOptions(), () => new Response("here"));
  server.start();
  const first = server.port!;
  await server.move({ listenAddress: "127.0.0.1", port: 0 }, 1000);
  const second = server.port!;
  assert.notEqual(second, first);
  assert.equal(await (await fetch(`http://127.0.0.1:${second}`)).text(), "here");
  await assert.rejects(fetch(`http://127.0.0.1:${first}`));

  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  await assert.rejects(server.move({ listenAddress: "127.0.0.1", port }, 1000), /another program has this port/);
  assert.equal(server.port, second);
  assert.equal(await (await fetch(`http://127.0.0.1:${second}`)).text(), "here");
  taken.close();
  await server.stop(1000);
});
