/** Per flow and direction, the spans that a real Collector received equal what tcpdump saw, to packet and byte. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Capture } from "../harness/capture.ts";
import { checkSpans, first } from "../harness/checks.ts";
import { Collector } from "../harness/collector.ts";
import { identify } from "../harness/community_id.ts";
import { compareFlows, countFlows } from "../harness/flows.ts";
import { type End, Network } from "../harness/netns.ts";
import { attachedPrograms } from "../harness/programs.ts";
import { Traffic } from "../harness/traffic.ts";

const PORT = 7000;
/** Unassigned at IANA, so its name is `proto_252`. */
const OTHER_PROTOCOL = 252;

/** Addresses that the test gave out. */
function isOurs(address: string): boolean {
  return address.startsWith("10.77.") || address.startsWith("fd77:");
}

/** Conversations of every kind from `client` to `server`, `flows` short ones per protocol and family. */
async function converse(traffic: Traffic, client: End, server: End, flows: number): Promise<void> {
  await using _server = await traffic.serve(server.namespace, PORT);
  for (const family of ["ipv4", "ipv6"] as const) {
    const common = { to: server[family], port: PORT, concurrency: 2 };
    const short = { ...common, flows, "source-port": 20_000, rounds: 2 };
    const long = { ...common, flows: 2, "source-port": 40_000, request: 200_000, reply: 5_000_000 };
    await Promise.all([
      traffic.converse(client.namespace, { ...short, protocol: "tcp" }),
      traffic.converse(client.namespace, { ...short, protocol: "udp" }),
      traffic.converse(client.namespace, { ...long, protocol: "tcp" }),
      traffic.ping(client.namespace, { to: server[family], count: 20 }),
      traffic.raw(client.namespace, { to: server[family], protocol: OTHER_PROTOCOL, packets: 20 }),
      traffic.raw(server.namespace, { to: client[family], protocol: OTHER_PROTOCOL, packets: 10, size: 300 }),
    ]);
  }
}

const cases: { name: string; protocol: "grpc" | "http_binary"; flows: number; env?: Record<string, string> }[] = [
  { name: "over gRPC", protocol: "grpc", flows: 1250 },
  { name: "over HTTP", protocol: "http_binary", flows: 1250 },
  { name: "with clsact instead of TCX", protocol: "grpc", flows: 100, env: { MERMIN_ATTACH: "clsact" } },
];
for (const { name, protocol, flows, env } of cases) {
  Deno.test(`spans received ${name} equal tcpdump for ${flows * 4} short flows`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const { left, right } = network;
    await using collector = await Collector.start();
    await using instance = new Instance();
    const endpoint = protocol === "grpc" ? collector.grpcEndpoint : collector.httpEndpoint;
    const span = { udp_timeout: "2s", tcp_fin_timeout: "1s", icmp_timeout: "2s", max_record_interval: "3s" };
    const settings = { watch: watch(left), otlp: { endpoint, protocol }, span };
    await using agent = await Agent.start(settings, { instance: instance.name, env });
    const { ingress, egress } = await attachedPrograms(traffic, left);
    assert.deepEqual([ingress.length, egress.length], [1, 1]);
    await using capture = await Capture.start(left);

    await converse(traffic, left, right, flows);
    await converse(traffic, right, left, flows / 50);
    await network.untilQuiet();

    const truth = (await identify(countFlows(await capture.stop()))).filter(({ tuple }) => isOurs(tuple.sourceAddress));
    assert.equal(await agent.stop(), 0, agent.process.output);
    const spans = await collector.stop();
    assert.ok(truth.length >= flows * 4, `tcpdump saw only ${truth.length} flows`);
    assert.deepEqual(first(compareFlows(truth, spans, isOurs)), []);
    assert.deepEqual(first(checkSpans(spans, left.interfaceName)), []);
    assert.deepEqual(await attachedPrograms(traffic, left), { ingress: [], egress: [] });
  });
}
