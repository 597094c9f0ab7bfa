/** The health of a real agent: while it starts, while its collector is away, while it stops. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Network } from "../harness/netns.ts";
import { temporary } from "../harness/temporary.ts";
import { freePorts, until } from "../harness/wait.ts";

const PROBES = ["/livez", "/readyz", "/startup"];

interface Health {
  status: string;
  checks: Record<string, { status: string; detail?: string }>;
  metrics: Record<string, number>;
}

/** `undefined` while nobody listens. */
async function ask(agent: Agent, path: string): Promise<{ code: number; body: Health } | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${agent.apiPort}${path}`);
    return { code: response.status, body: await response.json() };
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** The first answer of each probe, all asked for at once: a start does not wait for them. */
async function firstAnswers(agent: Agent): Promise<{ path: string; code: number; body: Health }[]> {
  return await Promise.all(PROBES.map(async (path) => {
    return { path, ...await until(`${path} to answer`, () => ask(agent, path)) };
  }));
}

Deno.test("every probe answers 503 while the agent starts, and 200 from then on", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  await using instance = new Instance();
  // A table that takes seconds to make.
  const settings = { watch: watch(network.left), capacity: 2_000_000 };
  await using agent = await Agent.launch(settings, { instance: instance.name });
  for (const { path, code, body } of await firstAnswers(agent)) {
    assert.deepEqual([code, body.status], [503, "unavailable"], path);
    assert.deepEqual(body.checks.startup, { status: "unavailable", detail: "starting" });
  }
  await agent.untilReady();
  for (const path of PROBES) {
    const { code, body } = (await ask(agent, path))!;
    assert.deepEqual([code, body.status], [200, "ok"], path);
    assert.equal(body.checks.interfaces.detail, "1 watched");
    assert.equal(body.metrics.interfaces, 1);
  }
  assert.equal(await agent.stop(), 0, agent.process.output);
});

Deno.test("every probe answers 503 also while a cluster does not say who the agent is", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  await using instance = new Instance();
  // It takes connections and never answers.
  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using folder = await temporary("kubeconfig");
  const kubeconfig = `${folder.path}/config`;
  const config = {
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
    clusters: [{ name: "k", cluster: { server: `http://127.0.0.1:${server.addr.port}` } }],
    users: [{ name: "u", user: { token: "t" } }],
  };
  await Deno.writeTextFile(kubeconfig, JSON.stringify(config));
  const settings = { watch: watch(network.left) };
  await using agent = await Agent.launch(settings, { instance: instance.name, env: { KUBECONFIG: kubeconfig } });
  for (const { path, code } of await firstAnswers(agent)) assert.equal(code, 503, path);
  assert.doesNotMatch(agent.process.output, /event=k8s_identity/, "which is when it has given up");
  await until("the start to end", async () => (await ask(agent, "/livez"))?.code === 200);
  assert.match(agent.process.output, /event=k8s_identity/);
  assert.equal(await agent.stop(), 0, agent.process.output);
});

Deno.test("a collector that is away shows in the checks and never makes the agent unready", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const { left, right } = network;
  await using instance = new Instance();
  const [port] = freePorts(1);
  const settings = {
    watch: watch(left),
    otlp: { endpoint: `http://127.0.0.1:${port}`, protocol: "http_binary" as const },
    span: { icmp_timeout: "200ms" },
    // It waits for its collector, which the test makes come when it has seen enough.
    extra: 'shutdown_timeout = "10m"',
  };
  await using agent = await Agent.start(settings, { instance: instance.name });
  await left.namespace.run(["ping", "-c", "1", right.ipv4]);
  const { code, body } = await until("the exporter to fail", async () => {
    const answer = await ask(agent, "/readyz");
    return answer?.body.checks.export_otlp.status === "unavailable" ? answer : undefined;
  });
  assert.deepEqual([code, body.status], [200, "ok"]);
  assert.ok(body.checks.export_otlp.detail);
  assert.ok(body.metrics.spans_waiting > 0);
  agent.process.signal("SIGTERM");
  const stopping = await until("the agent to be unready", async () => {
    const answer = await ask(agent, "/readyz");
    return answer?.code === 503 ? answer : undefined;
  });
  assert.equal(stopping.body.checks.running.detail, "stopping");
  await using _collector = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, () => new Response());
  assert.equal((await agent.process.exited).code, 0, agent.process.output);
});
