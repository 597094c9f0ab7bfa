/**
 * `deno task bench`: new UDP flows at a steady rate through a veth to a local sink, and what the agent makes of them.
 *
 * The agent exports OTLP over gRPC to a Collector that counts and drops. "Sent" is what the kernel took from the
 * sender, "out" what the Collector counted, so neither is the agent's own word.
 */

import { parseArgs } from "node:util";
import { Agent, Instance, prepareBpffs, type Usage } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Collector } from "../harness/collector.ts";
import { Network } from "../harness/netns.ts";
import { run } from "../harness/process.ts";
import { attachedPrograms, programStatistics } from "../harness/programs.ts";
import { type NewFlows, Traffic } from "../harness/traffic.ts";
import { sleep } from "../harness/wait.ts";
import { formatTable, type Row } from "./table.ts";

const PORT = 7000;
/** Destination addresses that the sender uses with one port before it takes the next. */
const ADDRESSES = 65_536;
const DESTINATIONS = "10.88.0.0/16";
const STATISTICS = "kernel.bpf_stats_enabled";
/** An agent that has exported nothing for this long, on top of its idle timeout, will not export more. */
const PATIENCE_MS = 15_000;

interface Options {
  rates: number[];
  seconds: number;
  udpTimeoutSeconds: number;
  protocol: "grpc" | "http_binary";
}

interface Measured {
  sent: NewFlows;
  out: number;
  delivered: number;
  before: Usage;
  after: Usage;
  kernel: { runs: number; nanoseconds: number };
}

/** A veth pair on which nothing is sent but the benchmark's packets. */
async function quietNetwork(): Promise<Network> {
  const network = await Network.create();
  const { left, right } = network;
  for (const { namespace, interfaceName } of [left, right]) {
    await namespace.run(["sysctl", "-qw", `net.ipv6.conf.${interfaceName}.disable_ipv6=1`]);
  }
  await left.namespace.run(["ip", "route", "add", DESTINATIONS, "via", right.ipv4]);
  await right.namespace.run(["ip", "route", "add", "local", DESTINATIONS, "dev", "lo"]);
  await network.untilQuiet();
  return network;
}

/** Waits until the Collector has `wanted` spans or nothing more comes, and returns its count. */
async function drain(collector: Collector, wanted: number, patienceMs: number): Promise<number> {
  let last = await collector.acceptedSpans();
  for (let sinceMs = performance.now(); last < wanted && performance.now() - sinceMs < patienceMs;) {
    await sleep(500);
    const now = await collector.acceptedSpans();
    if (now !== last) sinceMs = performance.now();
    last = now;
  }
  return last;
}

async function measure(traffic: Traffic, rate: number, options: Options): Promise<Measured> {
  await using network = await quietNetwork();
  const { left, right } = network;
  await using collector = await Collector.start("nop");
  await using instance = new Instance();
  const endpoint = options.protocol === "grpc" ? collector.grpcEndpoint : collector.httpEndpoint;
  const settings = {
    watch: watch(left),
    otlp: { endpoint, protocol: options.protocol },
    span: { udp_timeout: `${options.udpTimeoutSeconds}s` },
    // The product's defaults.
    capacity: 100_000,
    pollInterval: "5s",
    maxBatchInterval: "5s",
  };
  await using agent = await Agent.start(settings, { instance: instance.name });
  const ports = Math.ceil(rate * options.seconds / ADDRESSES);
  await using _sink = await traffic.sink(right.namespace, PORT, ports);
  const { ingress, egress } = await attachedPrograms(traffic, left);

  const before = await agent.usage();
  const flows = { to: DESTINATIONS.split("/")[0], port: PORT, "source-port": 20_000 };
  const sent = await traffic.newFlows(left.namespace, { ...flows, rate, seconds: options.seconds });
  await drain(collector, sent.flows, options.udpTimeoutSeconds * 1000 + PATIENCE_MS);
  const after = await agent.usage();
  const kernel = await programStatistics([...ingress, ...egress]);
  const delivered = (await agent.metrics()).sum(/^mermin_export_flow_spans_total\{.*status="ok"/);
  const code = await agent.stop();
  if (code !== 0) throw new Error(`The agent ended with ${code}:\n${agent.process.output}`);
  // The flush at the end may bring more than the agent had delivered while it ran.
  return { sent, out: await collector.acceptedSpans(), delivered, before, after, kernel };
}

function toRow(rate: number, { sent, out, delivered, before, after, kernel }: Measured): Row {
  const cpuSeconds = after.cpuSeconds - before.cpuSeconds;
  return {
    "asked/s": String(rate),
    "sent/s": sent.rate.toFixed(0),
    "flows sent": String(sent.flows),
    "flows out": String(out),
    "lost": String(sent.flows - out),
    "delivered before stop": String(delivered),
    "CPU s": cpuSeconds.toFixed(2),
    "us/flow": (cpuSeconds * 1e6 / sent.flows).toFixed(1),
    "peak RSS MiB": (after.peakRssBytes / 2 ** 20).toFixed(0),
    "kernel ns/packet": (kernel.nanoseconds / Math.max(kernel.runs, 1)).toFixed(0),
  };
}

/** Runs `body` while the kernel measures its BPF programs, which costs a little for each packet. */
async function withProgramStatistics<T>(body: () => Promise<T>): Promise<T> {
  const old = (await run(["sysctl", "-n", STATISTICS])).trim();
  await run(["sysctl", "-qw", `${STATISTICS}=1`]);
  try {
    return await body();
  } finally {
    await run(["sysctl", "-qw", `${STATISTICS}=${old}`]);
  }
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      "rates": { type: "string", default: "1000,10000,20000" },
      "seconds": { type: "string", default: "20" },
      "udp-timeout": { type: "string", default: "10" },
      "protocol": { type: "string", default: "grpc" },
    },
  });
  const { protocol } = values;
  if (protocol !== "grpc" && protocol !== "http_binary") {
    throw new RangeError(`--protocol ${protocol}: use grpc or http_binary`);
  }
  const rates = values.rates.split(",").map(Number);
  return { rates, seconds: Number(values.seconds), udpTimeoutSeconds: Number(values["udp-timeout"]), protocol };
}

async function main(args: string[]): Promise<void> {
  const options = readOptions(args);
  const { rates, seconds, udpTimeoutSeconds, protocol } = options;
  console.log(
    `$ deno task bench --rates ${rates} --seconds ${seconds} --udp-timeout ${udpTimeoutSeconds} --protocol ${protocol}`,
  );
  const kernel = (await run(["uname", "-rm"])).trim();
  console.log(`Linux ${kernel}, ${navigator.hardwareConcurrency} CPUs; aims: lost 0, us/flow < 15, peak RSS < 120 MiB`);
  await prepareBpffs();
  const traffic = await Traffic.build();
  await withProgramStatistics(async () => {
    const rows: Row[] = [];
    for (const rate of rates) {
      console.log(`${rate} new flows/s for ${seconds} s …`);
      rows.push(toRow(rate, await measure(traffic, rate, options)));
    }
    console.log(formatTable(rows));
  });
}

if (import.meta.main) await main(Deno.args);
