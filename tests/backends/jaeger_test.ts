/** Jaeger receives a flow trace, and its API returns it with all attributes. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Capture } from "../harness/capture.ts";
import { Network } from "../harness/netns.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import { checkFlow, Nearness } from "../spans/compare.ts";
import { answerTimes } from "../spans/reference.ts";
import { HANDSHAKE, ROUND_TRIP, tcp } from "../spans/scenarios.ts";
import { observe } from "../spans/stage.ts";
import { Jaeger } from "./jaeger.ts";

const PORT = 7000;
const SOURCE_PORT = 40_000;

function packetsIn({ attributes }: SpanRecord): number {
  return Number(attributes["flow.packets.delta"]) + Number(attributes["flow.reverse.packets.delta"]);
}

Deno.test("Jaeger's API returns a flow trace with all attributes", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using jaeger = await Jaeger.start();
  await using instance = new Instance();
  const otlp = { endpoint: jaeger.grpcEndpoint, protocol: "grpc" as const };
  // A window of a second: the trace has several spans.
  const span = { tcp_fin_timeout: "300ms", max_record_interval: "1s" };
  await using agent = await Agent.start({ watch: watch(left), otlp, span }, { instance: instance.name });
  await using capture = await Capture.start(left);
  await using _server = await traffic.serve(right.namespace, PORT);
  const flow = { protocol: "tcp", to: right.ipv6, port: PORT, flows: 1, "source-port": SOURCE_PORT };
  await traffic.converse(left.namespace, { ...flow, rounds: 4, "gap-ms": 800 });
  await until("the flow to end", async () => (await agent.metrics()).sum(/^mermin_flow_spans_active_total/) === 0);
  const captured = await capture.stop();
  assert.equal(await agent.stop(), 0, agent.process.output);
  const packets = captured.filter(({ tcp: segment }) => segment);
  const spans = await until("the trace", async () => {
    const found = (await jaeger.spans("mermin")).filter(({ name }) => name === "flow_ipv6_tcp");
    return found.reduce((sum, one) => sum + packetsIn(one), 0) === packets.length ? found : undefined;
  });
  const observed = await observe(left, captured, spans);

  assert.deepEqual(await jaeger.services(), ["mermin"]);
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1, "traces");
  const inOrder = spans.toSorted((a, b) => Number(a.startNs - b.startNs));
  let at = 0;
  const expected = inOrder.map((span, index) => {
    const window = packets.slice(at, at += packetsIn(span));
    const times = [HANDSHAKE, ...answerTimes(window, right.ipv6) ? ROUND_TRIP : []];
    if (index < inOrder.length - 1) {
      return tcp("CLIENT", "established", "active_timeout", times, { packets: window.length });
    }
    // On a busy machine the end of the window may come before the flow is found to have ended.
    const reason = span.attributes["flow.end_reason"];
    assert.ok(reason === "end_of_flow_detected" || reason === "active_timeout", String(reason));
    return tcp("CLIENT", "time_wait", reason, times);
  });
  assert.ok(expected.length >= 2, "several windows");
  const communityId = observed.communityId(packets);
  checkFlow(observed, { packets, communityId, source: left.ipv6, server: right.ipv6 }, expected, new Nearness());
  for (const { resource, scopeName } of spans) {
    assert.equal(resource["service.name"], "mermin");
    assert.ok(String(resource["host.name"]).length > 0 && scopeName === "mermin");
  }
});
