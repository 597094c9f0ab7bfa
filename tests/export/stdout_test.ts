/** The built agent writing to a pipe: the formats, and a reader that goes away. */

import { deepEqual, equal, match } from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Collector } from "../harness/collector.ts";
import { Network } from "../harness/netns.ts";
import { until } from "../harness/wait.ts";

const stdout = (format: string) => `export "traces" { stdout = "${format}" }`;
const SHORT = { icmp_timeout: "1s", max_record_interval: "1s" };

Deno.test("the agent writes flows in every format", async () => {
  await prepareBpffs();
  for (const format of ["text", "text_indent", "json", "json_indent"]) {
    await using network = await Network.create();
    const { left, right } = network;
    await using instance = new Instance();
    const settings = { watch: watch(left), extra: stdout(format), span: SHORT };
    await using agent = await Agent.start(settings, { instance: instance.name });
    await left.namespace.run(["ping", "-c", "1", right.ipv4]);
    equal(await agent.stop(), 0);
    const { stdout: lines } = agent.process;
    equal(lines.some((line) => line.includes(right.ipv4)), true, lines.join("\n"));
    if (format === "json") {
      const spans = lines.map((line) => JSON.parse(line));
      const ping = spans.find(({ attributes }) => attributes["destination.address"] === right.ipv4);
      deepEqual([ping.attributes["flow.packets.total"], ping.attributes["network.transport"]], [1, "icmp"]);
      equal(typeof ping.resource["service.name"], "string");
    }
  }
});

Deno.test("the agent ends when nobody reads its only output any more", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const { left, right } = network;
  await using instance = new Instance();
  const settings = { watch: watch(left), extra: stdout("text"), span: SHORT };
  const wrap = (command: string[]) => ["sh", "-c", `{ "$@"; echo "code $?" >&2; } | head -n 1`, "sh", ...command];
  await using agent = await Agent.start(settings, { instance: instance.name, wrap });
  await until("the agent to notice", async () => {
    await left.namespace.run(["ping", "-c", "1", right.ipv4]);
    return !agent.process.running;
  });
  const { output } = agent.process;
  match(output, /stdout_closed/);
  match(output, /code 0$/m);
  match(output, /nobody reads standard output any more, and flows go nowhere else: the agent ends/);
});

Deno.test("a full disk costs what was to be written there, says so, and nothing else", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const { left, right } = network;
  await using collector = await Collector.start();
  await using instance = new Instance();
  const extra = `export "traces" {
    stdout = "json"
    otlp { endpoint = "${collector.grpcEndpoint}" }
  }`;
  const wrap = (command: string[]) => ["sh", "-c", 'exec "$@" >/dev/full', "sh", ...command];
  const settings = { watch: watch(left), extra, span: SHORT };
  await using agent = await Agent.start(settings, { instance: instance.name, wrap });
  await left.namespace.run(["ping", "-c", "1", right.ipv4]);
  await agent.process.waitForLine(/event=stdout_failing .*No space left on device/);
  const failed = /^mermin_export_lost_spans_total\{exporter="stdout",reason="write_failed"\}/;
  equal((await agent.metrics()).sum(failed) > 0, true);
  equal(await agent.probe("/readyz"), 200);
  equal(await agent.stop(), 0);
  match(agent.process.output, /cannot write flows to standard output; check the disk or pipe behind it/);
  const spans = await collector.stop();
  equal(spans.some(({ attributes }) => attributes["destination.address"] === right.ipv4), true);
});
