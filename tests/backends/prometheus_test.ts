/** Debian's Prometheus scrapes the agent, and its API returns every series with the values that the agent shows. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Collector } from "../harness/collector.ts";
import { Network } from "../harness/netns.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import { Prometheus, type Series } from "./prometheus.ts";

const PORT = 7000;
/** What Prometheus adds to each target. */
const OWN_SERIES = /^(up|scrape_)/;
/** What differs between two scrapes of an agent at rest: histograms and sizes of the scraping itself, times. */
const MOVING = /_seconds(_|$)|^mermin_ebpf_map_ops_total|^process_|^nodejs_/;

/** Series in the form of the text format, labels in order of their names. */
function asText({ labels: { __name__, ...labels } }: Series): string {
  const pairs = Object.entries(labels).sort().map(([name, value]) => `${name}="${value}"`);
  return pairs.length > 0 ? `${__name__}{${pairs.join(",")}}` : __name__;
}

function withSortedLabels(sample: string): string {
  const [, name, labels] = /^([^{]+)(?:\{(.*)\})?$/.exec(sample)!;
  // To Prometheus an empty label is none.
  const pairs = labels?.match(/[^,=]+="(?:[^"\\]|\\.)*"/g)?.filter((pair) => !pair.endsWith('=""')).sort();
  return pairs ? `${name}{${pairs.join(",")}}` : name;
}

/** Metrics of the queries of the dashboard that give nothing here, and queries that give less than 0. */
async function silentQueries(prometheus: Prometheus): Promise<{ missing: string[]; negative: string[] }> {
  const file = new URL("../../charts/mermin/dashboards/mermin.json", import.meta.url);
  const { panels } = JSON.parse(await Deno.readTextFile(file));
  // Of one scrape there is no rate.
  await until("a rate", async () => (await prometheus.query("rate(process_cpu_seconds_total[1m])")).length > 0);
  const missing = new Set<string>();
  const negative: string[] = [];
  for (const { expr } of panels.flatMap(({ targets }: { targets: { expr: string }[] }) => targets)) {
    const found = await prometheus.query(expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "1m"));
    // What there is none of, such as losses, has no series; of a metric there is.
    if (found.length === 0 && !/== 0|lost/.test(expr)) missing.add(/mermin_\w+|process_\w+/.exec(expr)![0]);
    if (found.some(({ value }) => value < 0)) negative.push(expr);
  }
  return { missing: [...missing], negative };
}

Deno.test("Prometheus scrapes the agent and returns its series", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using collector = await Collector.start("nop");
  await using instance = new Instance();
  const otlp = { endpoint: collector.grpcEndpoint, protocol: "grpc" as const };
  const span = { tcp_fin_timeout: "300ms" };
  await using agent = await Agent.start({ watch: watch(left), otlp, span }, { instance: instance.name });
  await using prometheus = await Prometheus.start(`127.0.0.1:${agent.metricsPort}`);
  await using _server = await traffic.serve(right.namespace, PORT);
  const flows = { protocol: "tcp", to: right.ipv4, port: PORT, flows: 50, "source-port": 20_000 };
  await traffic.converse(left.namespace, flows);
  const delivered = /^mermin_export_flow_spans_total\{.*status="ok"/;
  await until("the spans to be delivered", async () => (await agent.metrics()).sum(delivered) >= 50);
  await network.untilQuiet();

  await prometheus.untilScraped();
  await prometheus.untilScraped();
  assert.deepEqual(await prometheus.target().then(({ health, lastError }) => [health, lastError]), ["up", ""]);
  const stored = new Map((await prometheus.series()).map((series) => [asText(series), series.value]));
  const shown = [...(await agent.metrics()).samples].map(([key, value]) => [withSortedLabels(key), value] as const);
  const steady = (name: string) => !MOVING.test(name);
  assert.deepEqual(
    [...stored.keys()].filter((name) => !OWN_SERIES.test(name)).sort(),
    shown.map(([name]) => name).sort(),
  );
  for (const [name, value] of shown) if (steady(name)) assert.equal(stored.get(name), value, name);
  assert.equal(stored.get("mermin_ebpf_bpf_fs_writable"), 1);
  assert.deepEqual(await silentQueries(prometheus), {
    // Without debug metrics, and without a cluster.
    missing: ["mermin_interface_bytes_total", "mermin_k8s_decorator_flow_spans_total", "mermin_k8s_addresses"],
    negative: [],
  });
  assert.equal(await agent.stop(), 0, agent.process.output);
});
