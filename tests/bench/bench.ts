/**
 * `deno task bench`: new UDP flows at a steady rate through a veth to a local sink, and what the agent makes of them.
 *
 * The agent exports OTLP over gRPC to a Collector that counts and drops. "Sent" is what the kernel took from the
 * sender, "out" what the Collector counted, so neither is the agent's own word.
 */

import { parseArgs } from "node:util";
import { Agent, Instance, prepareBpffs, type Usage } from "../harness/agent.ts";
import { type Protocol, watch } from "../harness/agent_config.ts";
import { Authority } from "../harness/certificates.ts";
import { Collector } from "../harness/collector.ts";
import { run } from "../harness/process.ts";
import { DESTINATIONS, FIRST_DESTINATION, wideNetwork } from "../harness/wide.ts";
import { attachedPrograms, programStatistics } from "../harness/programs.ts";
import { type NewFlows, Traffic } from "../harness/traffic.ts";
import { sleep } from "../harness/wait.ts";
import { type Charged, ControlGroup, type Limits } from "./limits.ts";
import { withProgramStatistics } from "./statistics.ts";
import { formatTable, type Row } from "./table.ts";

const PORT = 7000;
/** An agent that has exported nothing for this long, on top of its idle timeout, will not export more. */
const PATIENCE_MS = 15_000;

const PROTOCOLS = ["grpc", "http_binary", "http_json"] as const satisfies readonly Protocol[];

interface Options {
  rates: number[];
  seconds: number;
  udpTimeoutSeconds: number;
  protocol: Protocol;
  compression: string;
  /** Encrypted, with a private authority. */
  tls: boolean;
  /** Those of a container. */
  limits?: Limits;
}

interface Measured {
  sent: NewFlows;
  out: number;
  delivered: number;
  before: Usage;
  after: Usage;
  kernel: { runs: number; nanoseconds: number };
  charged?: Charged;
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
  await using network = await wideNetwork();
  const { left, right } = network;
  await using authority = await Authority.create();
  const tls = options.tls ? await authority.issue("collector", "IP:127.0.0.1") : undefined;
  await using collector = await Collector.start("nop", { tls });
  await using instance = new Instance();
  const limits = { compression: options.compression, ...(tls ? { tls: { ca_cert: authority.cert } } : {}) };
  const endpoint = options.protocol === "grpc" ? collector.grpcEndpoint : collector.httpEndpoint;
  const settings = {
    watch: watch(left),
    otlp: { endpoint, protocol: options.protocol, limits },
    span: { udp_timeout: `${options.udpTimeoutSeconds}s` },
    // The product's defaults.
    capacity: 100_000,
    pollInterval: "5s",
    maxBatchInterval: "5s",
  };
  await using group = options.limits && await ControlGroup.create(options.limits);
  await using agent = await Agent.start(settings, { instance: instance.name, wrap: group?.wrap });
  const ports = Math.ceil(rate * options.seconds / DESTINATIONS);
  await using _sink = await traffic.sink(right.namespace, PORT, ports);
  const { ingress, egress } = await attachedPrograms(traffic, left);

  const before = await agent.usage();
  const flows = { to: FIRST_DESTINATION, port: PORT, "source-port": 20_000 };
  const sent = await traffic.newFlows(left.namespace, { ...flows, rate, seconds: options.seconds });
  await drain(collector, sent.flows, options.udpTimeoutSeconds * 1000 + PATIENCE_MS);
  const after = await agent.usage();
  const kernel = await programStatistics([...ingress, ...egress]);
  const delivered = (await agent.metrics()).sum(/^mermin_export_flow_spans_total\{.*status="ok"/);
  const charged = await group?.charged();
  const code = await agent.stop();
  if (code !== 0) throw new Error(`The agent ended with ${code}:\n${agent.process.output}`);
  // The flush at the end may bring more than the agent had delivered while it ran.
  return { sent, out: await collector.acceptedSpans(), delivered, before, after, kernel, charged };
}

function toRow(rate: number, { sent, out, delivered, before, after, kernel, charged }: Measured): Row {
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
    ...(charged && {
      "charged MiB": charged.peakMib.toFixed(0),
      "throttled %": (charged.throttled * 100).toFixed(0),
    }),
  };
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      "rates": { type: "string", default: "1000,10000,20000" },
      "seconds": { type: "string", default: "20" },
      "udp-timeout": { type: "string", default: "10" },
      "protocol": { type: "string", default: "grpc" },
      "compression": { type: "string", default: "none" },
      "tls": { type: "boolean", default: false },
      // Cores and MiB, such as 0.5,256.
      "limits": { type: "string" },
    },
  });
  const { protocol, compression, tls } = values;
  if (!isProtocol(protocol)) throw new RangeError(`--protocol ${protocol}: use ${PROTOCOLS.join(", ")}`);
  const rates = values.rates.split(",").map(Number);
  const udpTimeoutSeconds = Number(values["udp-timeout"]);
  const [cpu, memoryMib] = values.limits?.split(",").map(Number) ?? [];
  const limits = values.limits === undefined ? undefined : { cpu, memoryMib };
  return { rates, seconds: Number(values.seconds), udpTimeoutSeconds, protocol, compression, tls, limits };
}

function isProtocol(text: string): text is Protocol {
  return (PROTOCOLS as readonly string[]).includes(text);
}

async function main(args: string[]): Promise<void> {
  const options = readOptions(args);
  const { rates } = options;
  console.log(`$ deno task bench ${args.join(" ")}`);
  const kernel = (await run(["uname", "-rm"])).trim();
  console.log(`Linux ${kernel}, ${navigator.hardwareConcurrency} CPUs; aims: lost 0, us/flow < 15, peak RSS < 120 MiB`);
  await prepareBpffs();
  const traffic = await Traffic.build();
  await withProgramStatistics(async () => {
    const rows: Row[] = [];
    for (const rate of rates) {
      console.log(`${rate} new flows/s for ${options.seconds} s …`);
      rows.push(toRow(rate, await measure(traffic, rate, options)));
    }
    console.log(formatTable(rows));
  });
}

if (import.meta.main) await main(Deno.args);
