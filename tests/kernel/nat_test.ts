/** Both sides of a connection that the host translates are told as one: one trace, and each community id as observed. */

import assert from "node:assert/strict";
import { TraceIds } from "../../src/flow/trace_id.ts";
import { tupleOf } from "../../src/flow/testing.ts";
import { first } from "../harness/checks.ts";
import { identify } from "../harness/community_id.ts";
import type { FiveTuple } from "../harness/pcap.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import { sleep, until } from "../harness/wait.ts";
import { CLIENT, type Family, NatHost, PORT, SERVER_PORT, SERVERS, SERVICE, toServer } from "./nat.ts";
import { CLIENT_PORT, NatStage } from "./nat_stage.ts";

const TRACE_ID_TIMEOUT_MS = 24 * 3_600_000;
const CLIENT_KIND = 3;
const NUMBERS = { tcp: 6, udp: 17 };

type Protocol = keyof typeof NUMBERS;

/** The tuple of a span, from its source to its destination. */
function tupleIn({ attributes: a }: SpanRecord, protocol: Protocol): FiveTuple {
  return {
    protocol: NUMBERS[protocol],
    sourceAddress: String(a["source.address"]),
    sourcePort: Number(a["source.port"]),
    destinationAddress: String(a["destination.address"]),
    destinationPort: Number(a["destination.port"]),
  };
}

function traceIdOf(tuple: FiveTuple, startNs: bigint): string {
  const { sourceAddress, sourcePort, destinationAddress, destinationPort, protocol } = tuple;
  const id = new Uint8Array(16);
  const start = { lo: Number(startNs & 0xffff_ffffn), hi: Number(startNs >> 32n) };
  const canonical = tupleOf(sourceAddress, destinationAddress, protocol, sourcePort, destinationPort);
  new TraceIds(0, TRACE_ID_TIMEOUT_MS).write(canonical, start, id);
  return id.toHex();
}

/** Spans to or from an address. */
function withEnd(spans: readonly SpanRecord[], address: string): SpanRecord[] {
  return spans.filter(({ attributes: a }) => a["destination.address"] === address || a["source.address"] === address);
}

function assertOneTrace(before: readonly SpanRecord[], behind: readonly SpanRecord[], protocol: Protocol): void {
  for (const span of behind) assert.equal(span.traceId, traceIdOf(tupleIn(span, protocol), span.startNs));
  const tracesOf = (spans: readonly SpanRecord[]) => spans.map(({ traceId }) => traceId).sort();
  const [theirs, known] = [tracesOf(before), tracesOf(behind)];
  const apart = [...new Set(theirs).difference(new Set(known))];
  assert.deepEqual(first(apart), [], "traces of one side only");
  assert.ok(theirs.every((traceId, i) => traceId === known[i]) && theirs.length === known.length);
}

/** Each of so many datagram connections is seen before and behind its translation. */
function assertEachToldAsOne(spans: readonly SpanRecord[], flows: number): void {
  const [service, server] = [withEnd(spans, SERVICE.ipv4), withEnd(spans, SERVERS[0].ipv4)];
  assert.deepEqual([service.length, server.length], [flows, flows]);
  assertOneTrace(service, server, "udp");
}

/** The judge gives each span the community id of what was observed. */
async function assertObservedIds(spans: readonly SpanRecord[], protocol: Protocol): Promise<void> {
  const counts = { forward: { packets: 0, bytes: 0 }, reverse: { packets: 0, bytes: 0 } };
  const judged = await identify(spans.map((span) => ({ tuple: tupleIn(span, protocol), ...counts })));
  assert.deepEqual(
    spans.map(({ attributes: a }) => a["flow.community_id"]),
    judged.map(({ communityId }) => communityId),
  );
}

const cases: { name: string; protocol: Protocol; family: Family; masquerade: boolean; isDirect?: boolean }[] = [
  { name: "TCP to a service", protocol: "tcp", family: "ipv4", masquerade: false },
  { name: "UDP to a service", protocol: "udp", family: "ipv4", masquerade: false },
  { name: "TCP over IPv6 to a service", protocol: "tcp", family: "ipv6", masquerade: false },
  { name: "UDP over IPv6 to a service, masqueraded", protocol: "udp", family: "ipv6", masquerade: true },
  { name: "TCP to a service, masqueraded", protocol: "tcp", family: "ipv4", masquerade: true },
  { name: "TCP to a server, masqueraded", protocol: "tcp", family: "ipv4", masquerade: true, isDirect: true },
];
for (const { name, protocol, family, masquerade, isDirect } of cases) {
  Deno.test(`both sides of a translated connection are one trace: ${name}`, async () => {
    await using stage = await NatStage.open({ rules: isDirect ? [] : toServer(0, protocol), masquerade });
    await using agent = await stage.start();
    const flows = 20;
    const to = isDirect ? { to: SERVERS[0][family], port: SERVER_PORT } : { to: SERVICE[family], port: PORT };
    await stage.converse({ ...to, protocol, flows, rounds: 2 });
    const spans = await stage.end(agent, protocol);
    assert.doesNotMatch(agent.process.output, /conntrack_unavailable/);
    // The client is seen with its own address before the translation, and behind it unless that hides it.
    const isBefore = ({ attributes: a }: SpanRecord) =>
      isDirect ? a["source.address"] === CLIENT[family] : a["destination.address"] === SERVICE[family];
    const [before, behind] = [spans.filter(isBefore), spans.filter((span) => !isBefore(span))];
    assert.deepEqual([before.length, behind.length], [flows, flows]);
    const source = masquerade ? NatHost.gateway(1) : CLIENT;
    for (const { attributes: a } of behind) {
      assert.deepEqual([a["source.address"], a["destination.address"]], [source[family], SERVERS[0][family]]);
    }
    for (const { kind } of spans) assert.equal(kind, CLIENT_KIND);
    assertOneTrace(before, behind, protocol);
    await assertObservedIds(spans, protocol);
  });
}

for (const family of ["ipv4", "ipv6"] as const) {
  Deno.test(`pings to a service are one trace with those that its server gets (${family})`, async () => {
    const rules = [
      `ip daddr ${SERVICE.ipv4} meta l4proto icmp dnat ip to ${SERVERS[0].ipv4}`,
      `ip6 daddr ${SERVICE.ipv6} meta l4proto ipv6-icmp dnat ip6 to ${SERVERS[0].ipv6}`,
    ];
    await using stage = await NatStage.open({ rules, servers: [] });
    await using agent = await stage.start();
    await stage.traffic.ping(stage.nat.client, { to: SERVICE[family], count: 5 });
    const spans = await stage.end(agent, family === "ipv4" ? "icmp" : "icmpv6");
    const [service] = withEnd(spans, SERVICE[family]);
    const [server] = withEnd(spans, SERVERS[0][family]);
    assert.equal(service.attributes["flow.packets.total"], 5);
    assert.equal(service.traceId, server.traceId);
    assert.notEqual(service.attributes["flow.community_id"], server.attributes["flow.community_id"]);
  });
}

Deno.test("a connection that was there before the agent is told as one too, and who began it", async () => {
  await using stage = await NatStage.open({ rules: toServer(0, "tcp") });
  // It goes on for longer than any agent takes to start.
  await using _conversation = stage.startConverse({ protocol: "tcp", flows: 1, rounds: 10_000, "gap-ms": 100 });
  await until("the connection", async () => (await stage.tracked()).includes(`sport=${CLIENT_PORT}`));
  await using agent = await stage.start();
  await until(
    "packets of it to be counted",
    async () => (await agent.metrics()).sum(/^mermin_capture_packets_total\{.*outcome="counted"/) >= 20,
  );
  const spans = await stage.end(agent, "tcp");
  assert.equal(spans.length, 2);
  // Neither a handshake was seen nor is one port an ephemeral one.
  for (const { kind, attributes: a } of spans) {
    assert.deepEqual([kind, a["source.address"]], [CLIENT_KIND, CLIENT.ipv4]);
  }
  assertOneTrace(withEnd(spans, SERVICE.ipv4), withEnd(spans, SERVERS[0].ipv4), "tcp");
});

for (const protocol of ["tcp", "udp"] as const) {
  Deno.test(`ports that are used again and sent to another server (${protocol}) are told by their time`, async () => {
    await using stage = await NatStage.open({ servers: [0, 1] });
    const { nat, collector } = stage;
    await nat.forgetSoon();
    // Datagrams are one flow unless it is idle in between.
    await using agent = await stage.start({ span: { udp_timeout: "2s" } });
    const events = async () => (await agent.metrics()).sum(/^mermin_conntrack_events_total/);
    for (const server of [0, 1, 0]) {
      await nat.translate(toServer(server, protocol));
      const known = await events();
      // It lasts for a while: what the kernel tells of it may come late, but not after its end.
      await stage.converse({ protocol, flows: 1, rounds: 2, "gap-ms": 300 });
      await until("the kernel's word of it", async () => await events() > known);
      // Connections that come sooner after each other are not told apart: the kernel's events have no time of their own.
      await sleep(100);
      if (protocol === "tcp") continue;
      const before = (await collector.spans()).length;
      await collector.waitForSpans("the flow to end", (spans) => spans.length >= before + 2);
      await until("the connection to be forgotten", async () => !(await stage.tracked()).includes("udp"));
    }
    const spans = await stage.end(agent, protocol);
    const behind = SERVERS.flatMap(({ ipv4 }) => withEnd(spans, ipv4));
    assert.deepEqual(SERVERS.map(({ ipv4 }) => withEnd(spans, ipv4).length), [2, 1]);
    assertOneTrace(withEnd(spans, SERVICE.ipv4), behind, protocol);
    // In the order of time each is with its own server.
    const inTime = (spans: readonly SpanRecord[]) => spans.toSorted((a, b) => Number(a.startNs - b.startNs));
    assert.deepEqual(
      inTime(withEnd(spans, SERVICE.ipv4)).map(({ traceId }) => traceId),
      inTime(behind).map(({ traceId }) => traceId),
    );
  });
}

Deno.test("datagrams of one flow that went to several servers have a trace of their own", async () => {
  await using stage = await NatStage.open({ servers: [0, 1] });
  const { nat } = stage;
  await nat.forgetSoon();
  await using agent = await stage.start();
  for (const server of [0, 1]) {
    await nat.translate(toServer(server, "udp"));
    await stage.converse({ protocol: "udp", flows: 1, rounds: 2 });
    await until("the connection to be forgotten", async () => !(await stage.tracked()).includes("udp"));
  }
  const spans = await stage.end(agent, "udp");
  assert.equal(spans.length, 3);
  for (const span of spans) assert.equal(span.traceId, traceIdOf(tupleIn(span, "udp"), span.startNs));
});

const refusals: { name: string; says: RegExp; events?: string; wrap?: (command: string[]) => string[] }[] = [
  { name: "switched off", says: /nf_conntrack_events is 0/, events: "0" },
  {
    name: "not permitted",
    says: /Operation not permitted/,
    wrap: (command) => ["python3", new URL("without_ctnetlink.py", import.meta.url).pathname, ...command],
  },
];
for (const { name, says, events, wrap } of refusals) {
  Deno.test(`where events of connection tracking are ${name}, one line says so and all else works`, async () => {
    await using stage = await NatStage.open({ rules: toServer(0, "tcp") });
    if (events) await stage.nat.host.run(["sysctl", "-qw", `net.netfilter.nf_conntrack_events=${events}`]);
    await using agent = await stage.start({}, wrap);
    await stage.converse({ protocol: "tcp", flows: 20, rounds: 2 });
    assert.equal((await agent.metrics()).sum(/^mermin_conntrack_events_total/), 0);
    const spans = await stage.end(agent, "tcp");
    const lines = agent.process.stderr.filter((line) => line.includes("event=conntrack_unavailable"));
    assert.equal(lines.length, 1, agent.process.output);
    assert.match(lines[0], says);
    assert.equal(spans.length, 40);
    for (const span of spans) assert.equal(span.traceId, traceIdOf(tupleIn(span, "tcp"), span.startNs));
  });
}

Deno.test("20,000 short translated connections are each told as one", async () => {
  await using stage = await NatStage.open({ rules: toServer(0, "udp") });
  await using agent = await stage.start({ span: { udp_timeout: "10s" } });
  const flows = 20_000;
  const before = await agent.usage();
  await stage.converse({ protocol: "udp", flows, concurrency: 2 });
  await until("all events", async () => (await agent.metrics()).sum(/^mermin_conntrack_events_total/) >= flows);
  const metrics = await agent.metrics();
  const after = await agent.usage();
  const mebibytes = (after.rssBytes - before.rssBytes) / 2 ** 20;
  const seconds = after.cpuSeconds - before.cpuSeconds;
  console.log(`20,000 connections: ${mebibytes.toFixed(1)} MiB more, ${seconds.toFixed(2)} s of processor time`);
  const [lost, overflows] = ["lost", "overflows"].map((name) =>
    metrics.sum(new RegExp(`^mermin_conntrack_${name}_total`))
  );
  assert.deepEqual([lost, overflows], [0, 0]);
  assertEachToldAsOne(await stage.end(agent, "udp"), flows);
});

Deno.test("events that found no room are made up for by a look at what there is", async () => {
  await using stage = await NatStage.open({ rules: toServer(0, "udp") });
  // On a slow machine the first are sent long before the look, which cannot find what the kernel has forgotten.
  await stage.nat.forgetDatagramsAfter(600);
  await using agent = await stage.start({ span: { udp_timeout: "10m", max_record_interval: "10m" } });
  const flows = 30_000;
  agent.process.signal("SIGSTOP");
  await stage.converse({ protocol: "udp", flows, concurrency: 2 });
  agent.process.signal("SIGCONT");
  await until("the look", async () => (await agent.metrics()).sum(/^mermin_conntrack_overflows_total/) > 0);
  // They go on: what an agent learns more than a second after the end of a flow, it does not take for that flow's.
  await stage.converse({ protocol: "udp", flows, concurrency: 2 });
  assertEachToldAsOne(await stage.end(agent, "udp"), flows);
});
