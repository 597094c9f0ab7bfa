/**
 * What a cluster costs: `deno task bench:kubernetes [--pods N] [--nodes N]`; root, and `tools/setup scale`.
 * A real API server, controllers and scheduler; kwok says that the pods run. Prints rows for docs/performance.md.
 */

import { parseArgs } from "node:util";
import { Agent, Instance, prepareBpffs, type Usage } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Network } from "../harness/netns.ts";
import { run } from "../harness/process.ts";
import { sleep, until } from "../harness/wait.ts";
import { ApiServer } from "../kubernetes/api_server.ts";
import { measureAttribution } from "./attribution.ts";
import { Fleet } from "./fleet.ts";
import { measureLists } from "./lists.ts";

const REST_MS = 20_000;
/** Memory differs from start to start by more than some thousand pods. */
const AGENTS = 3;
const CHURN_MS = 20_000;
/** A pod that is replaced is one that goes and one that comes: 50 changes a second. */
const REPLACED_PER_SECOND = 25;
const KIB = 1024;
const MIB = 1024 * 1024;

/** From the start until the cluster is known, then at rest, then while pods are replaced. */
async function measureAgent(name: string, server: ApiServer | undefined, fleet?: Fleet): Promise<Usage> {
  await using network = await Network.create();
  await using instance = new Instance();
  const extra = server ? `discovery "informer" "k8s" { kubeconfig_path = "${await server.kubeconfig()}" }` : "";
  const startMs = performance.now();
  const settings = { watch: watch(network.left), extra, pollInterval: "5s" };
  await using agent = await Agent.start(settings, { instance: instance.name });
  const readySeconds = (performance.now() - startMs) / 1000;
  const ready = await agent.usage();
  await sleep(REST_MS);
  const rested = await agent.usage();
  const percent = (from: Usage, to: Usage, ms: number) => (to.cpuSeconds - from.cpuSeconds) / ms * 100_000;
  print(`agent, ${name}`, {
    "ready after s": readySeconds,
    "CPU s until then": ready.cpuSeconds,
    "at rest, % of a core": percent(ready, rested, REST_MS),
    "RSS MiB": rested.rssBytes / MIB,
    "of it anonymous": rested.anonymousBytes / MIB,
    "peak RSS MiB": rested.peakRssBytes / MIB,
  });
  if (fleet) {
    const churnMs = performance.now();
    const replaced = await fleet.churn(REPLACED_PER_SECOND, CHURN_MS);
    const churned = await agent.usage();
    const ms = performance.now() - churnMs;
    print("agent, pods replaced", {
      "pod changes/s": replaced * 2 / ms * 1000,
      "% of a core": percent(rested, churned, ms),
      "RSS MiB": churned.rssBytes / MIB,
    });
  }
  await agent.stop();
  return rested;
}

/** The median of several agents one after the other, of which only the last sees `fleet` change. */
async function measureAgents(name: string, server: ApiServer, fleet?: Fleet): Promise<Usage> {
  const all: Usage[] = [];
  for (let i = 1; i <= AGENTS; i++) all.push(await measureAgent(name, server, i === AGENTS ? fleet : undefined));
  const median = (of: (usage: Usage) => number) => all.map(of).sort((a, b) => a - b)[AGENTS >> 1];
  const [rssBytes, anonymousBytes] = [median((one) => one.rssBytes), median((one) => one.anonymousBytes)];
  return { ...all[0], rssBytes, anonymousBytes };
}

function print(what: string, values: Record<string, number>): void {
  const text = Object.entries(values).map(([name, value]) => `${name} ${Number(value.toFixed(2))}`);
  console.log(`${what}: ${text.join(", ")}; load ${Deno.loadavg()[0].toFixed(1)}`);
}

const { values } = parseArgs({
  options: { pods: { type: "string", default: "5000" }, nodes: { type: "string", default: "50" } },
});
const [pods, nodes] = [Number(values.pods), Number(values.nodes)];
console.log(`deno task bench:kubernetes --pods ${pods} --nodes ${nodes}`);
await prepareBpffs();
await using server = await ApiServer.start();
await measureAgent("no cluster", undefined);
const empty = await measureAgents("empty cluster", server);
const fillMs = performance.now();
await using fleet = await Fleet.start(server, pods, nodes);
const isQuiet = async () => {
  const cpu = async () => Number((await run(["ps", "-o", "cputimes=", "-p", String(server.pid)])).trim());
  const before = await cpu();
  await sleep(3000);
  return await cpu() - before <= 1;
};
await until("the controllers to be done", isQuiet, 300_000);
console.log(`${pods} pods run after ${((performance.now() - fillMs) / 1000).toFixed(0)} s`);
await measureLists(server, print);
await measureAttribution(server, await fleet.places(), print);
const full = await measureAgents(`${pods} pods`, server, fleet);
const apiServerKib = Number(await run(["ps", "-o", "rss=", "-p", String(server.pid)]));
print("a pod", {
  "RSS KiB": (full.rssBytes - empty.rssBytes) / KIB / pods,
  "anonymous KiB": (full.anonymousBytes - empty.anonymousBytes) / KIB / pods,
  "API server MiB": apiServerKib / KIB,
});
