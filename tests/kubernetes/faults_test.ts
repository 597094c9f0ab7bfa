/** What goes wrong between the agent and a real API server, under load: names stay right, and the log stays short. */

import assert from "node:assert/strict";
import { KINDS } from "../../src/kubernetes/model/kinds.ts";
import { sleep, until } from "../harness/wait.ts";
import { type Any, ApiServer } from "./api_server.ts";
import { Churn } from "./churn.ts";
import { Informers, readAccess, selector } from "./informers.ts";
import { createPod, PODS } from "./objects.ts";
import { Proxy } from "./proxy.ts";

const GATEWAYS = "gateways.gateway.networking.k8s.io";
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/** Spans are looked up so long after their first packet, or twice as long. */
const LATE_MS = 2000;

/** Flows from pods that come and go; what has a wrong name is kept. */
class Flows {
  readonly wrong: string[] = [];
  named = 0;
  unnamed = 0;

  constructor(readonly informers: Informers, readonly churn: Churn) {}

  /** As an agent does, some seconds after the fact, until so many more pods were made. */
  async look(more: number): Promise<void> {
    const count = this.churn.owned.length + more;
    while (this.churn.owned.length < count) {
      const timeMs = Date.now() - LATE_MS * (1 + Math.random());
      for (const address of this.churn.addresses) this.#look(address, timeMs);
      await sleep(5);
    }
  }

  /** At all times between two. */
  lookBack(fromMs: number, toMs: number): void {
    for (let timeMs = fromMs; timeMs < toMs; timeMs += 20) {
      for (const address of this.churn.addresses) this.#look(address, timeMs);
    }
  }

  #look(address: string, timeMs: number): void {
    const owner = this.churn.ownerAt(address, timeMs);
    if (!owner) return;
    const name = this.informers.podAt(address, timeMs);
    if (name === undefined) this.unnamed++;
    else if (name === owner.name) this.named++;
    else this.wrong.push(`${name} at ${address}, which was of ${owner.name}`);
  }
}

/** The server answers again before it has told what was missed: that has come when a pod that is made now has. */
async function untilCaughtUp(server: ApiServer, informers: Informers): Promise<void> {
  const [name, address] = ["newest", "10.2.0.1"];
  await createPod(server, { name, ips: [address] });
  await until("the newest pod", () => informers.podAt(address, Date.now()) === name);
  await server.delete(`${PODS}/${name}`);
  await until("the newest pod to be gone", () => informers.podAt(address, Date.now()) === undefined);
}

Deno.test("an API server that is killed under load, and one that has forgotten: no wrong name, nothing stale or doubled", async () => {
  await using server = await ApiServer.start();
  await using proxy = new Proxy(server.url);
  const access = readAccess(await server.kubeconfig("admin", proxy.url));
  const selectors = [selector("Pod"), selector("Service"), selector("Namespace")];
  await using informers = await Informers.start(access, { selectors });
  await until("the uid of the cluster", () => informers.cluster.uid !== "");
  const startMs = Date.now();
  const churn = new Churn(server, 24);
  const flows = new Flows(informers, churn);
  await churn.untilMade(40);
  await flows.look(40);
  for (let round = 0; round < 2; round++) {
    await server.kill();
    await until("the outage in the log", () => informers.lines.length === 2 + 2 * round);
    await server.restart();
    await until("the recovery in the log", () => informers.lines.length === 3 + 2 * round);
    await untilCaughtUp(server, informers);
    await flows.look(40);
  }
  flows.lookBack(startMs, Date.now());
  assert.deepEqual(flows.wrong, []);
  // Pods that live for less than a second have none around their ends.
  assert.ok(flows.named > 500, `${flows.named} of ${flows.named + flows.unnamed} flows have a name`);
  // A server that has just started may have forgotten what was missed (410).
  const { lists } = informers.stats("Pod");
  assert.ok(lists <= 3, `${lists} lists`);

  // The agent alone is away, while pods go on, and etcd forgets what they did.
  const awayMs = Date.now();
  proxy.isOpen = false;
  proxy.cut();
  await churn.untilMade(40);
  await server.forget();
  await churn.untilMade(40);
  await churn.stop();
  const backMs = Date.now();
  proxy.isOpen = true;
  await until("another list", () => informers.stats("Pod").lists > lists);
  const { alive } = churn;
  await informers.untilCount("Pod", alive.length);
  const { items } = await server.request("GET", PODS);
  assert.deepEqual(items.map(({ metadata }: Any) => metadata.name).sort(), alive.map(({ name }) => name).sort());
  for (const { name, address } of alive) assert.equal(informers.podAt(address, Date.now()), name);
  flows.lookBack(awayMs - LATE_MS, backMs);
  assert.deepEqual(flows.wrong, []);
  console.log(`${churn.owned.length} pods, ${flows.named} flows named, ${flows.unnamed} not, ${lists} lists before`);
});

Deno.test("an outage is two lines, however many kinds are watched", async () => {
  await using server = await ApiServer.start();
  await using informers = await Informers.start(readAccess(await server.kubeconfig()));
  await until("the uid of the cluster", () => informers.cluster.uid !== "");
  await server.kill();
  await until("a line", () => informers.lines.length === 3);
  const [{ event, kinds = "", message }] = informers.lines.slice(2);
  assert.equal(event, "k8s_watch_failed");
  assert.deepEqual(kinds.split(", ").sort(), KINDS.filter((kind) => kind !== "Gateway").sort());
  assert.match(message, /Connection refused/);
  await server.restart();
  await until("another line", () => informers.lines.length === 4);
  assert.deepEqual(informers.lines.map((line) => line.event), [
    ...["k8s_watching", "k8s_kind_missing", "k8s_watch_failed", "k8s_recovered"],
  ]);
});

Deno.test("rights that are taken away: the last state is kept for a while, then dropped, and all is back with the rights", async () => {
  await using server = await ApiServer.start();
  await using proxy = new Proxy(server.url);
  await server.allow("agents", ["pods", "services", "namespaces"]);
  await createPod(server, { name: "first", ips: ["10.1.0.1"] });
  await createPod(server, { name: "stays", ips: ["10.1.0.2"] });
  const access = readAccess(await server.kubeconfig("agent", proxy.url));
  const selectors = [selector("Pod"), selector("Service"), selector("Namespace")];
  // Long enough that the state can be looked at before.
  await using informers = await Informers.start(access, { selectors, forbiddenMs: 15_000 });
  const firstMs = Date.now();
  await server.allow("agents", ["namespaces"]);
  // The server asks for rights at the beginning of a watch only, which the agent begins anew every five to ten minutes.
  await createPod(server, { name: "seen", ips: ["10.1.0.3"] });
  await informers.untilCount("Pod", 3);
  proxy.cut();
  await until("a line", () => informers.lines.length === 2);
  assert.deepEqual(informers.lines[1].kinds?.split(", ").sort(), ["Pod", "Service"]);
  assert.equal(informers.lines[1].event, "k8s_forbidden");
  assert.equal(informers.podAt("10.1.0.2", Date.now()), "stays");
  await server.delete(`${PODS}/first`);
  await createPod(server, { name: "second", ips: ["10.1.0.1"] });
  await informers.untilCount("Pod", 0);
  const [droppedMs] = [Date.now()];
  assert.equal(informers.podAt("10.1.0.1", droppedMs), undefined);
  assert.equal(informers.podAt("10.1.0.1", firstMs), "first");
  assert.equal(informers.events().length, 2);
  await server.allow("agents", ["pods", "services", "namespaces"]);
  await informers.untilCount("Pod", 3);
  await until("the recovery", () => informers.lines.length === 3);
  assert.equal(informers.lines[2].event, "k8s_recovered");
  assert.equal(informers.podAt("10.1.0.1", Date.now()), "second");
  assert.equal(informers.podAt("10.1.0.2", Date.now()), "stays");
  assert.equal(informers.podAt("10.1.0.1", firstMs), "first");
});

// An API server of 1.20 that is built with a later Go ends when a kind is defined.
const ignore = Deno.env.has("MERMIN_API_SERVER");

Deno.test("a kind that is installed later is watched, also when its version goes", { ignore }, async () => {
  await using server = await ApiServer.start();
  const access = readAccess(await server.kubeconfig());
  await using informers = await Informers.start(access, { selectors: [selector("Gateway")], discoveryMs: 500 });
  assert.deepEqual(informers.cluster.state, { ok: true });
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  const version = (name: string, served: boolean) => ({ name, served, storage: name === "v1beta1", schema });
  await server.create(CRDS, {
    metadata: { name: GATEWAYS, annotations: { "api-approved.kubernetes.io": "unapproved, for a test" } },
    spec: {
      ...{ group: "gateway.networking.k8s.io", scope: "Namespaced" },
      names: { kind: "Gateway", listKind: "GatewayList", plural: "gateways", singular: "gateway" },
      versions: [version("v1beta1", true)],
    },
  });
  const make = async (name: string, version: string) => {
    const path = `/apis/gateway.networking.k8s.io/${version}/namespaces/default/gateways`;
    const object = { apiVersion: `gateway.networking.k8s.io/${version}`, kind: "Gateway", metadata: { name } };
    // A definition takes a moment to be served.
    await until(`a gateway in ${version}`, () => server.create(path, object).then(() => true, () => false));
  };
  await make("a", "v1beta1");
  await informers.untilCount("Gateway", 1);
  assert.deepEqual(informers.events(), ["k8s_watching", "k8s_kind_missing Gateway", "k8s_kind_found Gateway"]);
  await server.patch(`${CRDS}/${GATEWAYS}`, { spec: { versions: [version("v1beta1", false), version("v1", true)] } });
  await make("b", "v1");
  await informers.untilCount("Gateway", 2);
  await server.delete(`${CRDS}/${GATEWAYS}`);
  await informers.untilCount("Gateway", 0);
});

Deno.test("kinds are read in whatever version the API server has", async () => {
  await using server = await ApiServer.start();
  const { groups } = await server.request("GET", "/apis");
  const versionOf = (group: string) => {
    const { versions } = groups.find(({ name }: Any) => name === group);
    return versions.map(({ version }: Any) => version);
  };
  const has = async (base: string, plural: string) =>
    (await server.request("GET", base)).resources.some(({ name }: Any) => name === plural);
  const batch = await has("/apis/batch/v1", "cronjobs") ? "v1" : "v1beta1";
  const discovery = versionOf("discovery.k8s.io").includes("v1") ? "v1" : "v1beta1";
  const template = { spec: { containers: [{ name: "c", image: "i" }], restartPolicy: "Never" } };
  await server.create(`/apis/batch/${batch}/namespaces/default/cronjobs`, {
    metadata: { name: "c" },
    spec: { schedule: "* * * * *", jobTemplate: { spec: { template } } },
  });
  await server.create(`/apis/discovery.k8s.io/${discovery}/namespaces/default/endpointslices`, {
    ...{ metadata: { name: "e" }, addressType: "IPv4", ports: [{ port: 80, protocol: "TCP" }] },
    endpoints: [{ addresses: ["10.1.0.1"] }],
  });
  await using informers = await Informers.start(readAccess(await server.kubeconfig()));
  assert.deepEqual(informers.cluster.state, { ok: true });
  assert.equal(informers.events()[1], "k8s_kind_missing Gateway");
  assert.equal(informers.count("CronJob"), 1);
  // The API server makes one for itself where it has the kind.
  assert.ok(informers.count("EndpointSlice") >= 1);
  console.log(`batch/${batch}, discovery.k8s.io/${discovery}`);
});
