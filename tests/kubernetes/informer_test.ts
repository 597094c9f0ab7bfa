/** The copy of the cluster stays right whatever happens to the API server, a real one. */

import assert from "node:assert/strict";
import { Connection } from "../../src/kubernetes/api/access.ts";
import { discover, listPage, watch, type WatchEvent } from "../../src/kubernetes/api/api.ts";
import type { KubernetesObject } from "../../src/kubernetes/model/object.ts";
import type { Selector } from "../../src/kubernetes/model/selection.ts";
import { until } from "../harness/wait.ts";
import { type Any, ApiServer, type USERS } from "./api_server.ts";
import { Informers, readAccess, selector } from "./informers.ts";
import { createDeployment, createPod, PODS } from "./objects.ts";
import { Proxy } from "./proxy.ts";

async function start(
  server: ApiServer,
  selectors: Selector[],
  user: keyof typeof USERS = "admin",
  url = server.url,
): Promise<Informers> {
  return await Informers.start(readAccess(await server.kubeconfig(user, url)), { selectors });
}

const CONFIG_FREE = { spec: { containers: [{ name: "c", image: "i" }] } };
const pods = (server: ApiServer, names: string[], metadata: Any = {}) =>
  Promise.all(names.map((name) => server.create(PODS, { metadata: { name, ...metadata }, ...CONFIG_FREE })));
const range = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}-${i}`);

Deno.test("informers list in pages, and follow what comes and goes", async () => {
  await using server = await ApiServer.start();
  await pods(server, range("first", 1100));
  await using informers = await start(server, [selector("Pod"), selector("Namespace")]);
  assert.deepEqual(informers.cluster.state, { ok: true });
  assert.equal(informers.count("Pod"), 1100);
  assert.equal(informers.stats("Pod").listed, 1100);
  await pods(server, range("second", 20));
  await informers.untilCount("Pod", 1120);
  await Promise.all(range("first", 30).map((name) => server.delete(`${PODS}/${name}`)));
  await informers.untilCount("Pod", 1090);
  assert.equal(informers.stats("Pod").lists, 1);
  assert.deepEqual(informers.events(), ["k8s_watching"]);
});

Deno.test("informers resume a watch that broke, with nothing missed and no new list", async () => {
  await using server = await ApiServer.start();
  await using proxy = new Proxy(server.url);
  await pods(server, range("a", 10));
  await using informers = await start(server, [selector("Pod")], "admin", proxy.url);
  for (let round = 0; round < 3; round++) {
    proxy.cut();
    await pods(server, [`b-${round}`, `c-${round}`]);
    await server.delete(`${PODS}/a-${round}`);
    await informers.untilCount("Pod", 10 + round + 1);
  }
  assert.equal(informers.stats("Pod").lists, 1);
});

Deno.test("informers keep the last state while the API server is dead, and follow it when it is back", async () => {
  await using server = await ApiServer.start();
  await pods(server, range("a", 10));
  await using informers = await start(server, [selector("Pod")]);
  await until("the uid of the cluster", () => informers.cluster.uid !== "");
  await server.kill();
  await until("a failed watch", () => informers.events().includes("k8s_watch_failed Pod"));
  assert.equal(informers.count("Pod"), 10);
  await server.restart();
  await pods(server, range("b", 5));
  await server.delete(`${PODS}/a-0`);
  await informers.untilCount("Pod", 14);
  assert.deepEqual(informers.events(), ["k8s_watching", "k8s_watch_failed Pod", "k8s_recovered"]);
});

Deno.test("informers list again when the server has forgotten what they missed (410)", async () => {
  await using server = await ApiServer.start();
  await using proxy = new Proxy(server.url);
  await pods(server, range("a", 10));
  await using informers = await start(server, [selector("Pod")], "admin", proxy.url);
  proxy.isOpen = false;
  proxy.cut();
  await pods(server, range("b", 5));
  await server.delete(`${PODS}/a-0`);
  await server.forget();
  proxy.isOpen = true;
  await informers.untilCount("Pod", 14);
  assert.equal(informers.stats("Pod").lists, 2);
});

Deno.test("informers go on without kinds that are missing or forbidden, one line each, and take them when they may", async () => {
  await using server = await ApiServer.start();
  await pods(server, ["a"]);
  await server.allow("agents", ["pods", "namespaces"]);
  const selectors = [selector("Pod"), selector("Service"), selector("Gateway")];
  await using informers = await start(server, selectors, "agent");
  assert.deepEqual(informers.cluster.state, { ok: true });
  await until("a line about services", () => informers.events().includes("k8s_forbidden Service"));
  assert.deepEqual(informers.events(), ["k8s_watching", "k8s_kind_missing Gateway", "k8s_forbidden Service"]);
  assert.equal(informers.count("Pod"), 1);
  assert.equal(informers.count("Service"), 0);
  await server.allow("agents", ["pods", "namespaces", "services"]);
  await informers.untilCount("Service", 1);
  assert.equal(informers.events().at(-1), "k8s_recovered");
});

Deno.test("selectors: the API server sends what is asked for, and labels that change count", async () => {
  await using server = await ApiServer.start();
  await pods(server, range("x", 5), { labels: { app: "x" } });
  await pods(server, range("y", 5), { labels: { app: "y" } });
  const pushed = [selector("Pod", { namespaces: ["default"], matchLabels: { app: "x" } })];
  await using informers = await start(server, pushed);
  assert.equal(informers.stats("Pod").listed, 5);
  const excluded = [selector("Pod"), selector("Pod", { include: false, matchLabels: { app: "y" } })];
  await using others = await start(server, excluded);
  assert.equal(others.count("Pod"), 5);
  await server.patch(`${PODS}/x-0`, { metadata: { labels: { app: "y" } } });
  await informers.untilCount("Pod", 4);
  await others.untilCount("Pod", 4);
  await server.patch(`${PODS}/y-0`, { metadata: { labels: { app: "x" } } });
  await informers.untilCount("Pod", 5);
  await others.untilCount("Pod", 5);
});

Deno.test("an object with 200 KB of annotations passes, and is not kept whole", async () => {
  await using server = await ApiServer.start();
  await using informers = await start(server, [selector("Pod")]);
  await pods(server, ["big"], { annotations: { big: "x".repeat(200_000) } });
  await createPod(server, { name: "after", ips: ["10.0.0.9"] });
  await informers.untilCount("Pod", 2);
  assert.equal(informers.stats("Pod").errors, 0);
});

Deno.test("kinds of which only the metadata is used come without the rest, in lists and in watches", async () => {
  await using server = await ApiServer.start();
  const connection = new Connection(readAccess(await server.kubeconfig()));
  const { signal } = new AbortController();
  await createDeployment(server, "a");
  const resource = (await discover(connection, ["ReplicaSet"], signal)).get("ReplicaSet")!;
  const scope = { namespace: "", query: {}, isMetadataOnly: true };
  const objects: KubernetesObject[] = [];
  const page = await listPage(connection, resource, scope, "", (object) => void objects.push(object), signal);
  await createDeployment(server, "b");
  const seen = new AbortController();
  const onEvent = (event: WatchEvent) => {
    if (event.type === "BOOKMARK") return;
    objects.push(event.object);
    seen.abort();
  };
  const request = { resource, scope, resourceVersion: page.resourceVersion, timeoutSeconds: 60, onEvent };
  await assert.rejects(watch(connection, request, seen.signal), { name: "BrokenWatch" });
  assert.deepEqual(objects.map(({ metadata, spec }) => [metadata.name, metadata.ownerReferences?.[0].name, spec]), [
    ["a-1", "a", undefined],
    ["b-1", "b", undefined],
  ]);
  connection.close();
});
