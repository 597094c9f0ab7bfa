/** Who listens tells the direction of a conversation whose beginning the agent did not see. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Collector } from "../harness/collector.ts";
import { counters, type End, Network } from "../harness/netns.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";

/** Neither is a system port, neither an ephemeral one: nothing but the sockets tells the ends apart. */
const PORT = 7000;
const CLIENT_PORT = 20_000;
const KIND = { INTERNAL: 1, SERVER: 2 };

const cases: { name: string; protocol: "tcp" | "udp"; family: "ipv4" | "ipv6"; isServer: boolean; kind: number }[] = [
  { name: "a TCP server", protocol: "tcp", family: "ipv4", isServer: true, kind: KIND.SERVER },
  { name: "a TCP server over IPv6", protocol: "tcp", family: "ipv6", isServer: true, kind: KIND.SERVER },
  { name: "a UDP server", protocol: "udp", family: "ipv4", isServer: true, kind: KIND.SERVER },
  {
    name: "a TCP client, whose server is on another host",
    protocol: "tcp",
    family: "ipv4",
    isServer: false,
    kind: KIND.INTERNAL,
  },
];
for (const { name, protocol, family, isServer, kind } of cases) {
  Deno.test(`a conversation met in the middle: ${name}`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const { left, right } = network;
    const [server, client]: End[] = isServer ? [left, right] : [right, left];
    await using collector = await Collector.start();
    await using instance = new Instance();
    await using _server = await traffic.serve(server.namespace, PORT);
    const options = { to: server[family], port: PORT, protocol, flows: 1, "source-port": CLIENT_PORT };
    const before = (await counters(left)).txPackets;
    // It goes on for longer than any agent takes to start.
    await using _conversation = traffic.startConverse(client.namespace, { ...options, rounds: 10_000, "gap-ms": 100 });
    await until("the conversation to be under way", async () => (await counters(left)).txPackets >= before + 5);
    const settings = { watch: watch(left), otlp: { endpoint: collector.grpcEndpoint, protocol: "grpc" as const } };
    await using agent = await Agent.start(settings, { instance: instance.name });
    const metrics = await agent.metrics();
    assert.ok(isServer ? metrics.sum(/^mermin_ebpf_map_size\{map="LISTENING_PORTS"/) > 0 : true);
    await until(
      "packets of it to be counted",
      async () => (await agent.metrics()).sum(/^mermin_capture_packets_total\{.*outcome="counted"/) >= 10,
    );
    assert.equal(await agent.stop(), 0, agent.process.output);
    const spans = (await collector.stop()).filter(({ attributes }) => attributes["network.transport"] === protocol);
    assert.equal(new Set(spans.map(({ attributes }) => attributes["flow.community_id"])).size, 1);
    for (const { kind: kindSeen, attributes } of spans) {
      assert.equal(attributes["source.address"], left[family]);
      assert.equal(attributes["source.port"], isServer ? PORT : CLIENT_PORT);
      assert.equal(kindSeen, kind);
      assert.equal(attributes["flow.direction"], kind === KIND.SERVER ? "reverse" : "unknown");
    }
  });
}
