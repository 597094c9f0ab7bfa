/** What the ways to list all pods cost the API server, and whether etcd is asked. */

import { Metrics } from "../harness/metrics.ts";
import { run } from "../harness/process.ts";
import type { ApiServer } from "../kubernetes/api_server.ts";

const ROUNDS = 5;
const METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const WAYS: Record<string, string> = {
  "pages of 500": "limit=500",
  "whole, resourceVersion=0": "resourceVersion=0",
  "pages of 500, resourceVersion=0": "limit=500&resourceVersion=0",
  "a watch that begins with all":
    "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
};

export async function measureLists(
  server: ApiServer,
  print: (what: string, values: Record<string, number>) => void,
): Promise<void> {
  const counts = async () => {
    const metrics = new Metrics(await new Response(await server.stream("/metrics")).text());
    const sum = (name: string) => metrics.sum(new RegExp(`^${name}\\{.*resource="pods".*`));
    return { etcd: sum("apiserver_storage_list_total"), cache: sum("apiserver_cache_list_total") };
  };
  const cpuSeconds = async () => {
    const stat = await run(["cat", `/proc/${server.pid}/stat`]);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  };
  for (const [name, query] of Object.entries(WAYS)) {
    const before = { ...await counts(), cpu: await cpuSeconds() };
    const startMs = performance.now();
    let [bytes, requests] = [0, 0];
    for (let round = 0; round < ROUNDS; round++) {
      let token = "";
      do {
        requests++;
        const read = await readList(
          await server.stream(`/api/v1/pods?${query}${token && `&continue=${token}`}`),
          query,
        );
        bytes += read.bytes;
        token = read.token;
      } while (token !== "");
    }
    const after = { ...await counts(), cpu: await cpuSeconds() };
    print(`list of pods, ${name}`, {
      requests: requests / ROUNDS,
      MB: bytes / ROUNDS / 1e6,
      s: (performance.now() - startMs) / 1000 / ROUNDS,
      "CPU s of the API server": (after.cpu - before.cpu) / ROUNDS,
      "lists from etcd": (after.etcd - before.etcd) / ROUNDS,
      "lists from its cache": (after.cache - before.cache) / ROUNDS,
    });
  }
  const bytesOf = async (accept: string) =>
    (await readList(await server.stream("/apis/apps/v1/replicasets", accept), "")).bytes / 1e6;
  print("list of ReplicaSets", { MB: await bytesOf("application/json"), "MB of metadata": await bytesOf(METADATA) });
}

/** Reads a page, or a watch as far as its first state. */
async function readList(body: ReadableStream<Uint8Array>, query: string): Promise<{ bytes: number; token: string }> {
  let bytes = 0;
  let end = "";
  let start = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    bytes += chunk.length;
    const text = decoder.decode(chunk, { stream: true });
    start = (start + text).slice(0, 2000);
    end = (end + text).slice(-2000);
    // Leaving the loop ends the watch.
    if (query.startsWith("watch") && end.includes("k8s.io/initial-events-end")) break;
  }
  const token = query.startsWith("watch") ? "" : /"continue":"([^"]+)"/.exec(start)?.[1] ?? "";
  return { bytes, token };
}
