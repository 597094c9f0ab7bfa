/** What a host does to an agent under load: no descriptors, a file system gone read-only, SIGKILL, a second agent. */

import assert from "node:assert/strict";
import { Instance, type Usage } from "../harness/agent.ts";
import { changedAgent } from "../harness/changed.ts";
import { Collector } from "../harness/collector.ts";
import type { Metrics } from "../harness/metrics.ts";
import { sleep, until } from "../harness/wait.ts";
import { assertBalanced, balance, report, underFault } from "./trial.ts";

const RATE = 500;
/** Standard input, output and error keep theirs; no other descriptor can be had. */
const NO_DESCRIPTORS = 3;

/** A shell that gives the agent a bpffs of its own before it becomes the agent. */
const OWN_BPFFS = ["unshare", "-m", "sh", "-c", 'mount -t bpf bpf /sys/fs/bpf && exec "$0" "$@"'];

for (const protocol of ["grpc", "http_binary"] as const) {
  Deno.test(`no file descriptors for three seconds, ${protocol}`, async () => {
    const books = await underFault({ protocol }, async ({ agent, gateway, load, network: { left } }) => {
      const prlimit = (...options: string[]) =>
        left.namespace.run(["prlimit", "--pid", String(agent.process.pid), ...options]);
      const soft = (await prlimit("--nofile", "-o", "SOFT", "--noheadings")).trim();
      const sent = load(RATE, 6);
      await sleep(1000);
      await prlimit(`--nofile=${NO_DESCRIPTORS}:`);
      // The connection to the collector is lost just now.
      await gateway.refuse();
      await gateway.open();
      await sleep(3000);
      await prlimit(`--nofile=${soft}:`);
      await sent;
    });
    report(`no file descriptors for 3 s, ${protocol}`, books);
    assertBalanced(books);
    assert.deepEqual([books.arrived, books.lost], [books.flows, {}]);
  });
}

const readOnlyCases = [
  { name: "a bpffs that becomes read-only, for a successor", onExit: "keep", exitCode: 0, says: /stopped in/ },
  {
    name: "a bpffs that becomes read-only, nothing to be left",
    onExit: "detach",
    exitCode: 1,
    says: /Cannot detach: .*\/sys\/fs\/bpf.*Read-only file system.*`mermin cleanup` removes what is left/,
  },
] as const;
for (const { name, onExit, exitCode, says } of readOnlyCases) {
  Deno.test(name, async () => {
    // With its last user that bpffs goes away, and the kernel detaches what was pinned there.
    const wrap = (command: string[]) => [...OWN_BPFFS, ...command];
    const options = { protocol: "http_binary", wrap, settings: { onExit }, exitCode } as const;
    const books = await underFault(options, async ({ agent, load, network: { left } }) => {
      assert.equal((await agent.metrics()).sum(/^mermin_ebpf_bpf_fs_writable/), 1);
      const sent = load(RATE, 3);
      await sleep(1000);
      const inside = ["nsenter", "-m", "-t", String(agent.process.pid)];
      await left.namespace.run([...inside, "mount", "-o", "remount,ro", "/sys/fs/bpf"]);
      await sent;
    });
    report(name, books);
    assertBalanced(books);
    assert.deepEqual([books.arrived, books.lost], [books.flows, {}]);
    assert.match(books.output, says);
  });
}

/** Spans in requests that nobody has answered yet, at the most, with `SMALL_BATCHES`. */
const UNANSWERED_SPANS = 2 * 100;
/** What an agent holds between the kernel's table and the collector at the most: these, a batch that fills, and a read. */
const HELD_SPANS = UNANSWERED_SPANS + 100 + 512;

Deno.test("SIGKILL and restart, beside another agent of the same host", async () => {
  await using collector = await Collector.start();
  await using instance = new Instance();
  let flows = 0;
  let beside: { metrics: Metrics; usage: Usage };
  const books = await underFault({ protocol: "http_binary", hasPredecessor: true }, async (trial) => {
    const otlp = { endpoint: collector.grpcEndpoint, protocol: "grpc" as const };
    const neighbour = await trial.start({ settings: { otlp }, instance: instance.name });
    const load = trial.load(RATE, 6);
    for (let round = 0; round < 3; round++) {
      await sleep(1500);
      await trial.agent.kill();
      await sleep(300);
      trial.agent = await trial.start();
    }
    flows = await load;
    await until("the neighbour's spans", async () => (await collector.acceptedSpans()) >= flows);
    beside = { metrics: await neighbour.metrics(), usage: await neighbour.usage() };
    assert.equal(await neighbour.stop(), 0, neighbour.process.output);
  });
  report("SIGKILL and restart, three times", books);
  const missing = flows - books.flowsArrived;
  assert.deepEqual([books.arrived, books.packetsArrived], [books.flowsArrived, books.flowsArrived], "nothing twice");
  assert.ok(missing <= 3 * HELD_SPANS, `${missing} of ${flows} flows are missing`);
  const { killed = 0 } = books.lost;
  const arrived = killed - missing;
  assert.ok(
    arrived >= 0 && arrived <= 3 * UNANSWERED_SPANS,
    `${killed} are counted, ${missing} of ${flows} are missing`,
  );
  const neighbours = balance(await collector.stop(), beside!.metrics, beside!.usage, { flows, packets: flows });
  report("SIGKILL three times: the other agent of the host", neighbours);
  assertBalanced(neighbours);
  assert.deepEqual([neighbours.flowsArrived, neighbours.repeated, neighbours.lost], [flows, 0, {}]);
});

Deno.test("what an agent has when it is killed, while nothing arrives, the next one counts to the span", async () => {
  let held = 0;
  const books = await underFault({ protocol: "grpc", hasPredecessor: true }, async (trial) => {
    const queued = async () => (await trial.agent.metrics()).sum(/^mermin_export_queue_spans/);
    await trial.load(RATE, 1);
    await until("all to be delivered", async () => {
      const metrics = await trial.agent.metrics();
      const delivered = metrics.sum(/^mermin_export_flow_spans_total\{.*status="ok"/);
      return delivered >= trial.sent.flows && metrics.sum(/^mermin_export_queue_spans/) === 0;
    });
    await trial.gateway.refuse();
    await trial.load(RATE, 1);
    await until("spans to wait", async () => await queued() >= RATE);
    held = await queued();
    await trial.agent.kill();
    await trial.gateway.open();
    trial.agent = await trial.start();
    await trial.load(RATE, 1);
  });
  report("SIGKILL while the collector refuses connections", books);
  assert.match(books.output, new RegExp(`event=killed .*spans=${held}\\b`));
  assert.deepEqual([books.flows - books.flowsArrived, books.lost], [held, { killed: held }]);
  assert.deepEqual([books.arrived, books.packetsArrived], [books.flowsArrived, books.flowsArrived], "nothing twice");
});

Deno.test("an upgrade to a build with another record layout, and back", async () => {
  const changed = await changedAgent();
  const settings = { onExit: "keep" } as const;
  const books = await underFault({ protocol: "http_binary", hasPredecessor: true, settings }, async (trial) => {
    const load = trial.load(RATE, 6);
    for (const program of [changed, undefined]) {
      await sleep(1500);
      const { agent } = trial;
      assert.equal(await agent.stop(), 0, agent.process.output);
      trial.agent = await trial.start({ program });
    }
    await load;
  });
  report("an upgrade to another record layout, and back", books);
  const { flows, packets } = books;
  assert.deepEqual([books.flowsArrived, books.packetsArrived, books.lost], [flows, packets, {}]);
});

Deno.test("the metrics server's port is taken", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const settings = { metricsPort: taken.addr.port };
  const books = await underFault({ protocol: "http_binary", settings }, async ({ agent, load }) => {
    const line = await agent.process.waitForLine(/cannot_listen/);
    assert.match(
      line,
      new RegExp(`port ${taken.addr.port} \\(metrics\\): another program has this port; stop it or set`),
    );
    await load(RATE, 4);
    taken.close();
    await until("the metrics", () => agent.metrics().then(() => true, () => false));
  });
  report("the metrics server's port is taken", books);
  assertBalanced(books);
  assert.deepEqual([books.arrived, books.lost], [books.flows, {}]);
});
