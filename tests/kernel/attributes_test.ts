/** What spans say of interfaces and of IPsec, on a router that a flow crosses one way and comes back another. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { Collector } from "../harness/collector.ts";
import type { Namespace } from "../harness/netns.ts";
import type { Attributes, SpanRecord } from "../harness/otlp_json.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import { FAR, Host, POD } from "./host.ts";

const PORT = 7000;
const [ESP, AH] = [50, 51];
const SPI = { pod: { [ESP]: 0x1000_0001, [AH]: 0xffff_fffe }, far: { [ESP]: 0x2000_0002, [AH]: 0x103 } };
/** Sends packets of a protocol whose SPI comes after so many bytes (RFC 4302, RFC 4303). */
const SEND_IPSEC = `
import socket, struct, sys
protocol, spi, to = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
head = struct.pack("!BBH", 17, 4, 0) if protocol == 51 else b""
for number in range(3): s.sendto(head + struct.pack("!II", spi, number) + bytes(40), (to, 0))
`;

async function sendIpsec(from: Namespace, spis: Record<number, number>, to: string): Promise<void> {
  for (const protocol of [ESP, AH]) {
    await from.run(["python3", "-c", SEND_IPSEC, String(protocol), String(spis[protocol]), to]);
  }
}

/** The spans of `packets` packets on a host that has `poda`, `podb` and `uplink`, all watched. */
async function observe(
  packets: number,
  play: (host: Host, traffic: Traffic) => Promise<void>,
): Promise<SpanRecord[]> {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using host = await Host.create("routed");
  await using collector = await Collector.start();
  await using instance = new Instance();
  await using agent = await Agent.start({
    watch: { interfaceName: "pod*", patterns: ["uplink"], namespacePath: host.host.path },
    otlp: { endpoint: collector.grpcEndpoint, protocol: "grpc" },
  }, { instance: instance.name });
  await play(host, traffic);
  // A stop ends them all; by itself none ends so soon.
  await until(
    "all packets to be seen at two hooks",
    async () => (await agent.metrics()).sum(/^mermin_capture_packets_total/) >= 2 * packets,
  );
  assert.equal(await agent.stop(), 0, agent.process.output);
  return await collector.stop();
}

function attributesOf(spans: SpanRecord[], transport: string): Attributes {
  const found = spans.filter(({ attributes }) => attributes["network.transport"] === transport);
  assert.equal(found.length, 1, `${transport}: ${found.length} spans`);
  return found[0].attributes;
}

for (const [name, returnBy] of [["both ways", "a"], ["back another way", "b"]] as const) {
  Deno.test(`a flow that crosses three interfaces, ${name}, is counted once and names them`, async () => {
    const spans = await observe(10, async (host, traffic) => {
      await host.returnBy(returnBy);
      await using _server = await traffic.serve(host.far, PORT);
      const options = { protocol: "udp", to: FAR, port: PORT, flows: 1, "source-port": 40_000, rounds: 5 };
      await traffic.converse(host.pod, options);
    });
    const attributes = attributesOf(spans, "udp");
    assert.deepEqual([attributes["source.address"], attributes["destination.address"]], [POD, FAR]);
    assert.equal(attributes["network.interface.name"], "poda");
    assert.equal(attributes["flow.end_reason"], "forced_end");
    assert.deepEqual([attributes["flow.packets.total"], attributes["flow.reverse.packets.total"]], [5, 5]);
    const interfaces = (attributes["flow.interfaces"] as string[]).toSorted();
    if (returnBy === "a") {
      assert.deepEqual(interfaces, ["poda", "uplink"]);
      assert.equal(attributes["flow.reverse.interface.name"], undefined);
    } else {
      assert.deepEqual(interfaces, ["poda", "podb", "uplink"]);
      assert.ok(["podb", "uplink"].includes(String(attributes["flow.reverse.interface.name"])));
    }
  });
}

Deno.test("a flow of ESP or AH has the SPI of its source", async () => {
  const spans = await observe(12, async ({ pod, far }) => {
    await sendIpsec(pod, SPI.pod, FAR);
    await sendIpsec(far, SPI.far, POD);
  });
  for (const [transport, protocol] of [["esp", ESP], ["ah", AH]] as const) {
    const attributes = attributesOf(spans, transport);
    assert.equal(attributes["source.address"], POD);
    assert.deepEqual([attributes["flow.packets.total"], attributes["flow.reverse.packets.total"]], [3, 3]);
    const [own, other] = transport === "esp" ? ["esp", "ah"] : ["ah", "esp"];
    assert.equal(attributes[`flow.ipsec.${own}.spi`], SPI.pod[protocol]);
    assert.equal(attributes[`flow.ipsec.${other}.spi`], undefined);
    assert.equal(attributes["flow.connection.state"], undefined);
  }
});
