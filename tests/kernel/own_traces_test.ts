/** The agent's own spans at a real Collector and on standard output, apart from those of the flows. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Collector } from "../harness/collector.ts";
import { Network } from "../harness/netns.ts";

for (const protocol of ["grpc", "http_json"] as const) {
  Deno.test(`the agent's start and stop are spans of its own, over ${protocol} and on standard output`, async () => {
    await prepareBpffs();
    await using network = await Network.create();
    const { left, right } = network;
    await using flows = await Collector.start();
    await using own = await Collector.start();
    await using instance = new Instance();
    const settings = {
      watch: watch(left),
      otlp: { endpoint: flows.grpcEndpoint, protocol: "grpc" as const },
      extra: `
internal "traces" {
  stdout = "json"
  otlp {
    endpoint = "${protocol === "grpc" ? own.grpcEndpoint : own.httpEndpoint}"
    protocol = "${protocol}"
  }
}`,
    };
    await using agent = await Agent.start(settings, { instance: instance.name });
    await left.namespace.run(["ping", "-c", "1", right.ipv4]);
    assert.equal(await agent.stop(), 0, agent.process.output);

    const spans = await own.stop();
    assert.deepEqual(spans.map(({ name }) => name), ["agent.start", "agent.stop"]);
    assert.equal(spans[0].attributes["mermin.interfaces"], 1);
    assert.equal(spans[1].attributes["mermin.flows.lost"], 0);
    for (const { startNs, endNs } of spans) assert.ok(startNs < endNs);
    assert.ok((await flows.stop()).every(({ name }) => name.startsWith("flow_")));
    const lines = agent.process.stdout.map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ name }) => name), ["agent.start", "agent.stop"]);
    assert.equal(lines[0].traceId, spans[0].traceId);
  });
}
