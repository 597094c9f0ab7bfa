/** Filters on real traffic: what is kept arrives whole, what is dropped is counted, and the sums of the metrics hold. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Capture } from "../harness/capture.ts";
import { first } from "../harness/checks.ts";
import { Collector } from "../harness/collector.ts";
import { identify } from "../harness/community_id.ts";
import { compareFlows, countFlows, type FlowCount } from "../harness/flows.ts";
import type { Metrics } from "../harness/metrics.ts";
import { type End, Network } from "../harness/netns.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";

const PORT = 7000;
const FLOWS = 100;
const TCP = 6;

/** Keeps TCP over IPv4 from the lower half of the client's ports, which is nothing that the kernel could know. */
const FILTERS = `
filter "source" {
  address = { match = ["10.77.0.0/16"], not_match = ["10.77.0.2"] }
  port    = { match = ["20000-${20_000 + FLOWS / 2 - 1}"] }
}
filter "network" {
  transport      = { match = ["TCP", "icmp*"] }
  interface_name = { match = ["mm*"] }
}
filter "flow" {
  tcp_flags_tags = { not_match = ["rst"] }
}`;

function isKept({ tuple }: FlowCount): boolean {
  const { protocol, sourceAddress, sourcePort } = tuple;
  return protocol === TCP && sourceAddress.startsWith("10.77.") && sourcePort < 20_000 + FLOWS / 2;
}

function packetsOf(flows: readonly FlowCount[]): number {
  return flows.reduce((sum, { forward, reverse }) => sum + forward.packets + reverse.packets, 0);
}

async function converse(traffic: Traffic, client: End, server: End): Promise<void> {
  await using _server = await traffic.serve(server.namespace, PORT);
  for (const family of ["ipv4", "ipv6"] as const) {
    for (const protocol of ["tcp", "udp"]) {
      const options = { protocol, to: server[family], port: PORT, flows: FLOWS, "source-port": 20_000 };
      await traffic.converse(client.namespace, options);
    }
    await traffic.ping(client.namespace, { to: server[family], count: 5 });
  }
}

/** The sum rule of each hook, and the one over all of them. */
function checkSums(metrics: Metrics, interfaceName: string): void {
  for (const direction of ["ingress", "egress"]) {
    const at = `interface="${interfaceName}",direction="${direction}"`;
    const seen = metrics.sum(new RegExp(`^mermin_interface_packets_total\\{${at}`));
    assert.ok(seen > 0);
    assert.equal(metrics.sum(new RegExp(`^mermin_interface_capture_packets_total\\{${at},`)), seen, direction);
  }
  const exported = metrics.sum(/^mermin_flow_span_packets_total/);
  const open = metrics.sum(/^mermin_flow_open_packets/);
  assert.equal(metrics.sum(/^mermin_capture_packets_total\{.*outcome="counted"/), exported + open);
}

for (const attach of ["tcx", "clsact"]) {
  Deno.test(`filters keep what they should, whole, and all packets are accounted for, with ${attach}`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const { left, right } = network;
    await using collector = await Collector.start();
    await using instance = new Instance();
    const settings = {
      watch: watch(left),
      otlp: { endpoint: collector.grpcEndpoint, protocol: "grpc" as const },
      // Some flows have several records.
      span: { udp_timeout: "1s", tcp_timeout: "10s", tcp_fin_timeout: "1s", icmp_timeout: "1s", generic_timeout: "1s" },
      metricsExtra: "debug_metrics_enabled = true",
      extra: FILTERS,
    };
    await using agent = await Agent.start(settings, { instance: instance.name, env: { MERMIN_ATTACH: attach } });
    await using capture = await Capture.start(left);
    await converse(traffic, left, right);
    await network.untilQuiet();
    checkSums(await agent.metrics(), left.interfaceName);

    const flows = countFlows(await capture.stop());
    const dropped = flows.filter((flow) => !isKept(flow));
    const packets = packetsOf(dropped);
    await until("all flows to end", async () => (await agent.metrics()).sum(/^mermin_flow_open_packets/) === 0);
    const metrics = await agent.metrics();
    checkSums(metrics, left.interfaceName);
    const [filtered, duplicate] = ["filtered", "duplicate"].map((outcome) =>
      metrics.sum(new RegExp(`^mermin_capture_packets_total\\{.*outcome="${outcome}"`))
    );
    assert.deepEqual({ filtered, duplicate }, { filtered: packets, duplicate: 0 });
    assert.ok(metrics.sum(/^mermin_flow_spans_filtered_total/) >= dropped.length);

    assert.equal(await agent.stop(), 0, agent.process.output);
    const spans = await collector.stop();
    const inSpans = spans.reduce(
      (sum, { attributes }) =>
        sum + Number(attributes["flow.packets.delta"]) + Number(attributes["flow.reverse.packets.delta"]),
      0,
    );
    assert.equal(metrics.sum(/^mermin_flow_span_packets_total/), inSpans);
    const kept = await identify(flows.filter(isKept));
    assert.equal(kept.length, FLOWS / 2);
    assert.deepEqual(first(compareFlows(kept, spans)), []);
  });
}
