/** The wall clock of the machine is stepped: the times of spans follow it, and are right again when it is. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Capture } from "../harness/capture.ts";
import { checkSpans } from "../harness/checks.ts";
import { Collector } from "../harness/collector.ts";
import { wideNetwork } from "../harness/wide.ts";
import { Traffic } from "../harness/traffic.ts";
import { sleep, until } from "../harness/wait.ts";
import { assertBalanced, report, underFault } from "./trial.ts";

const PORT = 7000;
const RATE = 500;
const STEP_SECONDS = 60;
const STEP_NS = BigInt(STEP_SECONDS) * 1_000_000_000n;
const HOLD_MS = 2000;
const LONG_HOLD_MS = 5000;
/** Far less than the step. */
const NEAR_NS = 500_000_000n;

/** Source ports by when their packets pass and when their spans are made. */
const BEFORE_AND_AFTER = 40_000;
const BEFORE_AND_DURING = 40_001;
const DURING = 40_002;
const AFTER = 40_003;

Deno.test(`a clock that is ${STEP_SECONDS} s ahead for ${LONG_HOLD_MS} ms`, async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await wideNetwork();
  const { left, right } = network;
  await using collector = await Collector.start();
  await using instance = new Instance();
  const otlp = { endpoint: collector.grpcEndpoint, protocol: "grpc" as const };
  // Whatever was before the step ends within it, or long after it, also on a busy machine.
  const span = { udp_timeout: "2s", tcp_fin_timeout: "15s" };
  await using agent = await Agent.start({ watch: watch(left), otlp, span }, { instance: instance.name });
  await using capture = await Capture.start(left);
  await using _server = await traffic.serve(right.namespace, PORT);
  const talk = (protocol: string, port: number) =>
    traffic.converse(left.namespace, { protocol, to: right.ipv4, port: PORT, flows: 1, "source-port": port });

  const aheadMs = () => Date.now() - performance.now();
  const rightMs = aheadMs();
  await talk("tcp", BEFORE_AND_AFTER);
  await talk("udp", BEFORE_AND_DURING);
  const stepped = traffic.stepClock(left.namespace, STEP_SECONDS, LONG_HOLD_MS);
  await until("the clock to be ahead", () => aheadMs() - rightMs > STEP_SECONDS * 500);
  await talk("udp", DURING);
  await stepped;
  await sleep(500);
  await talk("udp", AFTER);
  await until("all spans", async () => (await agent.metrics()).sum(/^mermin_flow_spans_created_total/) >= 4);
  const packets = await capture.stop();
  assert.equal(await agent.stop(), 0, agent.process.output);
  const spans = await collector.stop();

  assert.deepEqual(checkSpans(spans, left.interfaceName), []);
  for (const port of [BEFORE_AND_AFTER, BEFORE_AND_DURING, DURING, AFTER]) {
    const times = packets.filter((packet) => [packet.sourcePort, packet.destinationPort].includes(port))
      .map(({ timeNs }) => timeNs);
    const [found, ...others] = spans.filter(({ attributes }) => attributes["source.port"] === port);
    assert.deepEqual(others, []);
    // Whoever looks at the clock during the step takes it for right, also for what was before.
    const shift = port === BEFORE_AND_DURING ? STEP_NS : 0n;
    for (
      const [what, got, captured] of [["start", found.startNs, times[0]], ["end", found.endNs, times.at(-1)!]] as const
    ) {
      const off = got - captured - shift;
      assert.ok(-NEAR_NS < off && off < NEAR_NS, `${what} of port ${port} is off by ${off} ns`);
    }
  }
});

for (const protocol of ["grpc", "http_binary"] as const) {
  const fault = `a clock that is ${STEP_SECONDS} s ahead for ${HOLD_MS} ms, under load, ${protocol}`;
  Deno.test(fault, async () => {
    const books = await underFault({ protocol }, async ({ traffic, network, load }) => {
      const sent = load(RATE, 5);
      await sleep(1000);
      await traffic.stepClock(network.left.namespace, STEP_SECONDS, HOLD_MS);
      await sent;
    });
    report(fault, books);
    assertBalanced(books);
    assert.deepEqual([books.arrived, books.lost], [books.flows, {}]);
  });
}
