/** What it costs to name the ends of flows: their addresses are made of bytes for each flow anew, as those of records are. */

import process from "node:process";
import { addressText } from "../../src/flow/address.ts";
import { FlowSpan } from "../../src/flow/span.ts";
import { Cluster } from "../../src/kubernetes/cluster.ts";
import { defaultAttributes } from "../../src/kubernetes/defaults.ts";
import { Log } from "../../src/log.ts";
import { createHistograms } from "../../src/metrics/histograms.ts";
import type { ApiServer } from "../kubernetes/api_server.ts";
import { readAccess } from "../kubernetes/informers.ts";
import { CONTAINER_PORT, type Place, SERVICE_PORT } from "./fleet.ts";

const FLOWS = 100_000;
const WARM_UP = 5;
const RUNS = 9;
const SYNC_MS = 60_000;

/** A flow's addresses, the port, and the address of the pod behind a service. */
interface Ends {
  readonly source: string;
  readonly destination: string;
  readonly port?: number;
  readonly behind?: string;
}

/** The same in bytes: three addresses of four each, then the port. */
const END_BYTES = 16;

/** Nanoseconds of CPU for one span with both ends in the cluster, without what the texts of its addresses take. */
export async function measureAttribution(
  server: ApiServer,
  places: readonly Place[],
  print: (what: string, values: Record<string, number>) => void,
): Promise<void> {
  const cluster = await connect(server);
  const addresses = places.map(({ address }) => address);
  const own = places.filter(({ node }) => node === places[0].node).map(({ address }) => address);
  const served = places.filter(({ service }) => service !== undefined);
  const one = <T>(list: readonly T[]) => list[Math.floor(Math.random() * list.length)];
  const spreads: Record<string, () => Ends> = {
    "among all pods": () => ({ source: one(addresses), destination: one(addresses) }),
    "from a node's pods to all pods": () => ({ source: one(own), destination: one(addresses) }),
    "among a node's pods": () => ({ source: one(own), destination: one(own) }),
    "from a node's pods to services": () => ({
      source: one(own),
      destination: one(served).service!,
      port: SERVICE_PORT,
    }),
    "from a node's pods to services, translated": () => {
      const { address, service } = one(served);
      return { source: one(own), destination: service!, port: SERVICE_PORT, behind: address };
    },
    "nobody known": () => ({ source: "192.0.2.1", destination: "192.0.2.2" }),
  };
  for (const [name, spread] of Object.entries(spreads)) {
    const ends = bytesOf(Array.from({ length: FLOWS }, spread));
    const first = ends.subarray(0, addresses.length * END_BYTES);
    const firstNs = runNs(first, cluster) - runNs(first, undefined);
    for (let i = 0; i < WARM_UP; i++) for (const by of [cluster, undefined]) runNs(ends, by);
    const [texts, named] = [undefined, cluster].map((by) =>
      Array.from({ length: RUNS }, () => runNs(ends, by)).sort((a, b) => a - b)
    );
    const median = RUNS >> 1;
    print(`attribution, ${name}`, {
      "first flows ns": firstNs,
      "ns a flow (median)": named[median] - texts[median],
      "fastest": named[0] - texts[0],
      "texts of addresses": texts[median],
    });
  }
  await cluster.stop();
}

async function connect(server: ApiServer): Promise<Cluster> {
  const access = readAccess(await server.kubeconfig());
  const relation = { selectorMatchLabelsField: "spec.selector", selectorMatchExpressionsField: "" };
  const cluster = new Cluster({
    access,
    informer: {
      ...{ kubeconfigPath: "", informersSyncTimeoutMs: SYNC_MS, selectors: [] },
      ownerRelations: { maxDepth: 5, includeKinds: [], excludeKinds: [] },
      selectorRelations: [{ kind: "Service", to: "Pod", ...relation }],
    },
    directions: {
      source: { k8s: defaultAttributes("source") },
      destination: { k8s: defaultAttributes("destination") },
    },
    retainMs: 60_000,
    logger: new Log({ level: "error", format: "text", write: console.error, now: Date.now }).logger("kubernetes"),
    indexSeconds: createHistograms().clusterIndex,
    decoratorSeconds: createHistograms().decoratorOut,
  });
  cluster.start();
  await cluster.untilSettled(SYNC_MS);
  return cluster;
}

function bytesOf(all: readonly Ends[]): Uint8Array {
  const bytes = new Uint8Array(all.length * END_BYTES);
  all.forEach(({ source, destination, port = CONTAINER_PORT, behind = "0.0.0.0" }, i) => {
    [source, destination, behind].forEach((address, place) =>
      bytes.set(address.split(".").map(Number), i * END_BYTES + place * 4)
    );
    bytes.set([port >> 8, port & 255], i * END_BYTES + 12);
  });
  return bytes;
}

/** Nanoseconds of CPU for a flow; without a cluster for its addresses alone. */
function runNs(ends: Uint8Array, cluster: Cluster | undefined): number {
  const now = BigInt(Date.now()) * 1_000_000n;
  const span = new FlowSpan();
  for (const time of [span.startNs, span.endNs]) {
    Object.assign(time, { hi: Number(now >> 32n), lo: Number(now & 0xffffffffn) });
  }
  Object.assign(span, { transport: "tcp", networkType: "ipv4", destinationNatPort: CONTAINER_PORT });
  const before = process.cpuUsage();
  for (let at = 0; at < ends.length; at += END_BYTES) {
    span.sourceAddress = addressText(ends, at, 4);
    span.sourcePort = 32_768 + at % 28_000;
    span.destinationAddress = addressText(ends, at + 4, 4);
    span.destinationPort = ends[at + 12] << 8 | ends[at + 13];
    span.destinationNatAddress = ends[at + 8] === 0 ? "" : addressText(ends, at + 8, 4);
    cluster?.decorate(span);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1000 / (ends.length / END_BYTES);
}
