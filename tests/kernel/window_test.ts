/** A long connection is cut into windows that add up, and both of its ends give it the same trace. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Capture } from "../harness/capture.ts";
import { byFlow, checkSpans, first } from "../harness/checks.ts";
import { Collector } from "../harness/collector.ts";
import { identify } from "../harness/community_id.ts";
import { compareFlows, countFlows, describeTuple } from "../harness/flows.ts";
import { Network } from "../harness/netns.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import { Traffic } from "../harness/traffic.ts";

/** A system port against an ephemeral one: that is how the roles of a UDP flow are known. */
const PORT = 700;
const SERVER = 2;
const CLIENT = 3;
const COUNTERS = ["flow.packets", "flow.bytes", "flow.reverse.packets", "flow.reverse.bytes"];

/** Checks that each total is the one before plus the delta. */
function assertTotalsAddUp(records: SpanRecord[], name: string): void {
  for (const counter of COUNTERS) {
    let sum = 0;
    for (const { attributes } of records) {
      sum += Number(attributes[`${counter}.delta`]);
      assert.equal(attributes[`${counter}.total`], sum, `${counter} of ${name}`);
    }
  }
}

Deno.test("max_record_interval cuts a long connection; both ends give it one trace", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using leftCollector = await Collector.start();
  await using rightCollector = await Collector.start();
  await using leftInstance = new Instance();
  await using rightInstance = new Instance();
  const span = { max_record_interval: "2s" };
  const leftOtlp = { endpoint: leftCollector.grpcEndpoint, protocol: "grpc" as const };
  const rightOtlp = { endpoint: rightCollector.httpEndpoint, protocol: "http_binary" as const };
  await using leftAgent = await Agent.start(
    { watch: watch(left), otlp: leftOtlp, span },
    { instance: leftInstance.name },
  );
  await using rightAgent = await Agent.start(
    { watch: watch(right), otlp: rightOtlp, span },
    { instance: rightInstance.name },
  );
  await using capture = await Capture.start(left);
  await using _server = await traffic.serve(right.namespace, PORT);
  const options = { port: PORT, flows: 1, "source-port": 40_000, rounds: 70, "gap-ms": 100 };
  await Promise.all(
    ["tcp", "udp"].flatMap((protocol) =>
      [right.ipv4, right.ipv6].map((to) => traffic.converse(left.namespace, { ...options, protocol, to }))
    ),
  );
  await network.untilQuiet();

  const truth = (await identify(countFlows(await capture.stop()))).filter(({ tuple }) =>
    tuple.destinationPort === PORT
  );
  assert.equal(await leftAgent.stop(), 0, leftAgent.process.output);
  assert.equal(await rightAgent.stop(), 0, rightAgent.process.output);
  const isConversation = ({ attributes }: SpanRecord) => [40_000, PORT].includes(Number(attributes["source.port"]));
  const leftSpans = (await leftCollector.stop()).filter(isConversation);
  const rightSpans = (await rightCollector.stop()).filter(isConversation);
  assert.equal(truth.length, 4);
  const ends: [SpanRecord[], string, number][] = [
    [leftSpans, left.interfaceName, CLIENT],
    [rightSpans, right.interfaceName, SERVER],
  ];
  for (const [spans, interfaceName, kind] of ends) {
    assert.deepEqual(compareFlows(truth, spans), []);
    assert.deepEqual(first(checkSpans(spans, interfaceName)), []);
    for (const { communityId, tuple } of truth) {
      const name = `${describeTuple(tuple)} on ${interfaceName}`;
      const records = byFlow(spans).get(communityId)!;
      assert.ok(records.length >= 3, `${name} has ${records.length} spans`);
      assert.ok(
        records.slice(0, -1).every(({ attributes }) => attributes["flow.end_reason"] === "active_timeout"),
        name,
      );
      assertTotalsAddUp(records, name);
      assert.deepEqual(new Set(records.map((record) => record.kind)), new Set([kind]), name);
    }
  }
  for (const { communityId, tuple } of truth) {
    const traceIds = [leftSpans, rightSpans].flatMap((spans) => byFlow(spans).get(communityId)!).map((s) => s.traceId);
    assert.equal(new Set(traceIds).size, 1, `${describeTuple(tuple)} has traces ${[...new Set(traceIds)]}`);
  }
});
