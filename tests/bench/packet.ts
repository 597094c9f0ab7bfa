/**
 * `deno task bench:packet`: nanoseconds that a program takes for one packet, by the kernel's own statistics, which cost some
 * of them; and what the loader takes to end many flows. Packets go through a veth into a sink; the loader is alone, without an agent.
 */

import { attachTo, builtLoader, NOTHING_DUE, sessionOptions } from "../kernel/session.ts";
import { Network } from "../harness/netns.ts";
import { attachedPrograms, programStatistics } from "../harness/programs.ts";
import { FIRST_DESTINATION, wideNetwork } from "../harness/wide.ts";
import { Traffic } from "../harness/traffic.ts";
import { withProgramStatistics } from "./statistics.ts";
import { formatTable, type Row } from "./table.ts";

const PORT = 7000;
const CAPACITY = 262_144;
const RUNS = 3;
/** Flows that are ended at once. */
const FLOWS = 100_000;
const SWEEPS = 5;
/** Destinations of flows of one packet each. */
const DESTINATIONS = "10.88.0.0/16";

interface Case {
  name: string;
  send: (traffic: Traffic, network: Network) => Promise<unknown>;
}

function blast(threads: number, flows: number): Case["send"] {
  return (traffic, { left, right }) =>
    traffic.blast(left.namespace, {
      to: right.ipv4,
      port: PORT,
      "source-port": 20_000,
      threads,
      flows,
      packets: 400_000,
    });
}

function talk(options: Record<string, number>): Case["send"] {
  return async (traffic, { left, right }) => {
    await using _server = await traffic.serve(right.namespace, PORT + 1);
    const flows = { to: right.ipv4, port: PORT + 1, "source-port": 30_000, protocol: "tcp" };
    await traffic.converse(left.namespace, { ...flows, ...options });
  };
}

const CASES: Case[] = [
  { name: "UDP, known flows: 64, two CPUs", send: blast(2, 64) },
  { name: "UDP, one known flow, one CPU", send: blast(1, 1) },
  { name: "UDP, one known flow, two CPUs", send: blast(2, 1) },
  { name: "TCP, questions and answers", send: talk({ flows: 4, rounds: 20_000 }) },
  {
    name: "UDP, new flows",
    send: (traffic, { left }) =>
      traffic.newFlows(left.namespace, {
        to: "10.88.0.0",
        port: PORT,
        "source-port": 20_000,
        rate: 20_000,
        seconds: 3,
      }),
  },
];

/** Nanoseconds a packet in each of the runs. */
async function measure(traffic: Traffic, { send }: Case): Promise<number[]> {
  await using network = await Network.create();
  const { left, right } = network;
  await left.namespace.run(["ip", "route", "add", DESTINATIONS, "via", right.ipv4]);
  await right.namespace.run(["ip", "route", "add", "local", DESTINATIONS, "dev", "lo"]);
  await using _sink = await traffic.sink(right.namespace, PORT, 1);
  const { session } = await builtLoader().open(sessionOptions(left, { flowCapacity: CAPACITY }));
  try {
    await attachTo(session, left.interfaceName);
    const { ingress, egress } = await attachedPrograms(traffic, left);
    const results: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const before = await programStatistics([...ingress, ...egress]);
      await send(traffic, network);
      const after = await programStatistics([...ingress, ...egress]);
      results.push((after.nanoseconds - before.nanoseconds) / (after.runs - before.runs));
      await session.sweep({ ...NOTHING_DUE, force: true });
      while (session.read() > 0);
    }
    return results;
  } finally {
    await session.close(false);
  }
}

/** Milliseconds that a sweep of {@linkcode FLOWS} flows takes, with its grace period, and then reading their records. */
async function measureSweeps(traffic: Traffic): Promise<Row> {
  await using network = await wideNetwork();
  const { left, right } = network;
  await using _sink = await traffic.sink(right.namespace, PORT, 10);
  const { session } = await builtLoader().open(sessionOptions(left, { flowCapacity: CAPACITY }));
  try {
    await attachTo(session, left.interfaceName);
    const sweeps: string[] = [];
    const reads: string[] = [];
    const flows = { to: FIRST_DESTINATION, port: PORT, "source-port": 20_000, rate: 2 * FLOWS, seconds: 0.5 };
    for (let run = 0; run < SWEEPS; run++) {
      await traffic.newFlows(left.namespace, flows);
      const startMs = performance.now();
      await session.sweep({ ...NOTHING_DUE, force: true });
      const sweptMs = performance.now();
      while (session.read() > 0);
      sweeps.push((sweptMs - startMs).toFixed(0));
      reads.push((performance.now() - sweptMs).toFixed(0));
    }
    return { "flows ended": String(FLOWS), "sweep, ms": sweeps.join(" "), "read, ms": reads.join(" ") };
  } finally {
    session.close(false);
  }
}

async function main(): Promise<void> {
  const traffic = await Traffic.build();
  await withProgramStatistics(async () => {
    const rows: Row[] = [];
    for (const each of CASES) {
      const results = await measure(traffic, each);
      rows.push({ "packets": each.name, "ns/packet, run after run": results.map((ns) => ns.toFixed(0)).join(" ") });
    }
    console.log(formatTable(rows));
  });
  console.log(formatTable([await measureSweeps(traffic)]));
}

if (import.meta.main) await main();
