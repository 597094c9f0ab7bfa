/** What real programs and a real kernel send, as both ends of the link must report it. */

import assert from "node:assert/strict";
import { checkSpans, first } from "../harness/checks.ts";
import { Network } from "../harness/netns.ts";
import type { Packet } from "../harness/pcap.ts";
import { checkFlow, Nearness } from "./compare.ts";
import { Far, FAR_IPV4 } from "./far.ts";
import { type ExpectedSpan, HANDSHAKE, plain, ROUND_TRIP, SERVICE, tcp } from "./scenarios.ts";
import { type Observed, type Side, Stage } from "./stage.ts";

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
const ECHO = [0, 8];
const ECHO_V6 = [128, 129];
const SCANNED_PORTS = 1000;
const PROBES = 3;
/** One probe after the other; one whose answer is late is not given up. */
const PATIENTLY = ["-n", "-q", String(PROBES), "-N", "1", "-w", "60"];
/** Below 1024, so that the ports tell the roles of UDP. */
const PORT = 700;
const SINK_PORT = 800;
/** Longer than any program here pauses, and than a busy machine makes it pause. */
const TIMEOUTS = {
  max_record_interval: "5m",
  generic_timeout: "15s",
  icmp_timeout: "15s",
  tcp_timeout: "15s",
  tcp_fin_timeout: "10s",
  tcp_rst_timeout: "10s",
  udp_timeout: "15s",
};

/** Flows of one kind: which packets are theirs, how many there are, and what each span of them says. */
interface Flows {
  name: string;
  select: (packet: Packet) => boolean;
  count: number;
  /** The answering end, where it is not `right`. */
  server?: string;
  left: ExpectedSpan[];
  right: ExpectedSpan[];
}

interface Scenario {
  name: string;
  play: (stage: Stage) => Promise<unknown>;
  flows: Flows[];
}

function hasPort(protocol: number, port: number, ports = 1) {
  return (packet: Packet) =>
    packet.protocol === protocol &&
    [packet.sourcePort, packet.destinationPort].some((one) => one >= port && one < port + ports);
}

function isIcmp(protocol: number, types: number[], address: string) {
  return (packet: Packet) =>
    packet.protocol === protocol && types.includes(packet.sourcePort) &&
    [packet.sourceAddress, packet.destinationAddress].includes(address);
}

const SCENARIOS: Scenario[] = [
  ...(["ipv4", "ipv6"] as const).map((family, index): Scenario => ({
    name: `full TCP connections over ${family}`,
    play: async ({ traffic, network: { left, right } }) => {
      const options = { protocol: "tcp", port: PORT, flows: 3, "source-port": 41_000 + 100 * index };
      // Each answer fits one segment, so that every ACK that comes with it is a round's last.
      await traffic.converse(left.namespace, { ...options, to: right[family], rounds: 3, "gap-ms": 100 });
    },
    flows: [{
      name: "the connections",
      select: hasPort(TCP, 41_000 + 100 * index, 3),
      count: 3,
      left: [tcp("CLIENT", "time_wait", "end_of_flow_detected", [HANDSHAKE, ...ROUND_TRIP])],
      right: [tcp("SERVER", "closed", "end_of_flow_detected", [HANDSHAKE, ...SERVICE])],
    }],
  })),
  {
    name: "a refused TCP connection",
    play: ({ traffic, network: { left, right } }) =>
      traffic.scan(left.namespace, { to: right.ipv6, port: 81, "source-port": 41_200 }),
    flows: [{
      name: "the connection",
      select: hasPort(TCP, 41_200),
      count: 1,
      left: [tcp("CLIENT", "closed", "end_of_flow_detected")],
      right: [tcp("SERVER", "closed", "end_of_flow_detected")],
    }],
  },
  {
    name: `a scan of ${SCANNED_PORTS} ports`,
    play: ({ traffic, network: { left, right } }) =>
      traffic.scan(left.namespace, { to: right.ipv4, port: 10_000, ports: SCANNED_PORTS, "source-port": 43_000 }),
    flows: [{
      name: "the connections",
      select: hasPort(TCP, 43_000, SCANNED_PORTS),
      count: SCANNED_PORTS,
      left: [tcp("CLIENT", "closed", "end_of_flow_detected")],
      right: [tcp("SERVER", "closed", "end_of_flow_detected")],
    }],
  },
  {
    name: "UDP request and answer",
    play: ({ traffic, network: { left, right } }) =>
      traffic.converse(left.namespace, {
        protocol: "udp",
        to: right.ipv4,
        port: PORT,
        flows: 1,
        "source-port": 41_300,
      }),
    flows: [{
      name: "the exchange",
      select: hasPort(UDP, 41_300),
      count: 1,
      left: [plain("CLIENT")],
      right: [plain("SERVER")],
    }],
  },
  {
    name: "one-way UDP",
    play: ({ traffic, network: { left, right } }) =>
      traffic.blast(left.namespace, { to: right.ipv6, port: SINK_PORT, "source-port": 41_400, packets: 50 }),
    flows: [{
      name: "the datagrams",
      select: hasPort(UDP, 41_400),
      count: 1,
      left: [plain("CLIENT")],
      right: [plain("SERVER")],
    }],
  },
  {
    name: "ping with a DSCP and a TTL of its own",
    play: ({ network: { left, right } }) =>
      left.namespace.run(["ping", "-c", "4", "-i", "0.2", "-Q", "0xb8", "-t", "33", right.ipv4]),
    flows: [{
      name: "the echoes",
      select: isIcmp(ICMP, ECHO, "10.77.0.2"),
      count: 1,
      left: [plain("CLIENT")],
      right: [plain("SERVER")],
    }],
  },
  {
    name: "ping6 with a flow label and a hop limit of its own",
    play: ({ network: { left, right } }) =>
      left.namespace.run(["ping", "-c", "4", "-i", "0.2", "-F", "0x54321", "-t", "33", right.ipv6]),
    flows: [{
      name: "the echoes",
      select: isIcmp(ICMPV6, ECHO_V6, "fd77::2"),
      count: 1,
      left: [plain("CLIENT")],
      right: [plain("SERVER")],
    }],
  },
  {
    name: "traceroute by UDP through a router",
    play: ({ network: { left } }) => left.namespace.run(["traceroute", ...PATIENTLY, "-p", "33434", FAR_IPV4]),
    flows: [
      {
        name: "the probes, whose ports do not tell roles",
        select: hasPort(UDP, 33_434, 2 * PROBES),
        count: 2 * PROBES,
        left: [plain("INTERNAL")],
        // Neither end is on the router.
        right: [plain("INTERNAL")],
      },
      {
        name: "the router's remarks on their TTL",
        select: isIcmp(ICMP, [11], "10.77.0.2"),
        count: 1,
        left: [plain("INTERNAL")],
        right: [plain("INTERNAL")],
      },
      {
        name: "the target's remarks on their ports",
        select: isIcmp(ICMP, [3], FAR_IPV4),
        count: 1,
        left: [plain("INTERNAL")],
        right: [plain("INTERNAL")],
      },
    ],
  },
  {
    name: "traceroute by ICMP to the same target",
    play: ({ network: { left } }) => left.namespace.run(["traceroute", "-I", ...PATIENTLY, FAR_IPV4]),
    flows: [{
      name: "the echoes and the target's replies",
      select: isIcmp(ICMP, ECHO, FAR_IPV4),
      count: 1,
      left: [plain("CLIENT")],
      right: [plain("CLIENT")],
    }],
  },
];

/** The source that an observer must name: its own end if there is one, else who began, or else who sent first. */
function sourceOf({ end }: Observed, packets: Packet[]): string {
  const [{ sourceAddress, destinationAddress }] = packets;
  return [end.ipv4, end.ipv6].find((own) => own === sourceAddress || own === destinationAddress) ?? sourceAddress;
}

function checkFlows(observed: Observed, side: Side, flows: Flows, nearness: Nearness): void {
  const packets = observed.packets.filter(flows.select);
  const byId = Map.groupBy(packets, (packet) => observed.communityId([packet]));
  assert.equal(byId.size, flows.count, "flows in the capture");
  for (const [communityId, own] of byId) {
    const [{ destinationAddress }] = own;
    const server = flows.server ?? destinationAddress;
    const flow = { packets: own, communityId, source: sourceOf(observed, own), server };
    checkFlow(observed, flow, flows[side], nearness);
  }
}

Deno.test("spans of real programs' packets have every field that they must have", async (t) => {
  await using network = await Network.create();
  await using _far = await Far.behind(network);
  await using stage = await Stage.open(network, TIMEOUTS);
  const { traffic } = stage;
  const sides: Side[] = ["left", "right"];
  await using _server = await traffic.serve(network.right.namespace, PORT);
  await using _sink = await traffic.sink(network.right.namespace, SINK_PORT, 1);
  // One after the other: some of them send from any port.
  for (const { play } of SCENARIOS) await play(stage);
  const flows = SCENARIOS.flatMap((scenario) => scenario.flows.map((flow) => ({ ...flow, scenario: scenario.name })));
  const nearness = new Nearness();
  for (const side of sides) {
    const observed = await stage.observed(side);
    for (const flow of flows) {
      await t.step(`${flow.scenario}: ${flow.name}, seen from ${side === "left" ? "the client" : "the server"}`, () => {
        checkFlows(observed, side, flow, nearness);
      });
    }
    await t.step(`all spans of ${side} are sound`, () => {
      assert.deepEqual(first(checkSpans(observed.spans, observed.counting.name)), []);
    });
  }
  console.log(nearness.summary);
});
