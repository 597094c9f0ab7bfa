import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { Cluster } from "./cluster.ts";
import type { Kind } from "./model/kinds.ts";
import type { KubernetesObject } from "./model/object.ts";
import { clusterOptions, object, selector } from "./testing.ts";

const DAEMON_SET = object({ name: "mermin", uid: "set" });
const POD = object({
  name: "mermin-x",
  uid: "pod",
  metadata: { ownerReferences: [{ kind: "DaemonSet", name: "mermin", uid: "set", controller: true }] },
});

/** An API server that knows the agent's pod and its DaemonSet. */
class FakeApi implements AsyncDisposable {
  /** Who asks has no account any more; watches that have begun go on. */
  isRefusing = false;
  readonly #watches = new Map<string, ReadableStreamDefaultController<Uint8Array>>();
  readonly #http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => this.#answer(request),
  );

  get url(): string {
    return `http://127.0.0.1:${this.#http.addr.port}`;
  }

  /** Says what has become of an object to who watches objects of that plural. */
  say(plural: string, type: "MODIFIED" | "DELETED", changed: KubernetesObject): void {
    this.#watches.get(plural)!.enqueue(new TextEncoder().encode(`${JSON.stringify({ type, object: changed })}\n`));
  }

  isWatched(plural: string): boolean {
    return this.#watches.has(plural);
  }

  #answer({ url }: Request): Response {
    const { pathname, searchParams } = new URL(url);
    if (this.isRefusing) return new Response("{}", { status: 401 });
    if (pathname === "/apis") {
      return Response.json({ groups: [{ name: "apps", versions: [{ groupVersion: "apps/v1" }] }] });
    }
    if (pathname === "/api/v1") return Response.json({ resources: [{ name: "pods" }] });
    if (pathname === "/apis/apps/v1") return Response.json({ resources: [{ name: "daemonsets" }] });
    if (pathname.endsWith("/pods/mermin-x")) return Response.json(POD);
    if (pathname.endsWith("/daemonsets/mermin")) return Response.json(DAEMON_SET);
    const plural = pathname.split("/").at(-1)!;
    if (plural !== "pods" && plural !== "daemonsets") return new Response("{}", { status: 404 });
    if (!searchParams.has("watch")) {
      const items = [plural === "pods" ? POD : DAEMON_SET];
      return Response.json({ metadata: { resourceVersion: "1" }, items });
    }
    return new Response(new ReadableStream({ start: (controller) => void this.#watches.set(plural, controller) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

/** The cluster of `api` when all is listed and watched, and the agent knows its DaemonSet. */
async function connected(api: FakeApi, kinds: readonly Kind[]): Promise<Cluster & AsyncDisposable> {
  const selectors = kinds.map((kind) => selector(kind));
  const lines: string[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line).event);
  const cluster = new Cluster({
    access: { origin: "test", server: api.url },
    ...clusterOptions(selectors, write),
  });
  const env = new Map([["POD_NAMESPACE", "default"], ["POD_NAME", "mermin-x"]]);
  await cluster.identify({ env: (name) => env.get(name), readText: () => "", hostname: () => "" });
  cluster.start();
  await cluster.untilSettled(60_000);
  // The last that is asked for at a start, after the DaemonSet.
  await until(() =>
    lines.includes("k8s_uid_unknown") && kinds.every((kind) => api.isWatched(`${kind.toLowerCase()}s`))
  );
  return Object.assign(cluster, { [Symbol.asyncDispose]: () => cluster.stop() });
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !await condition(); i++) {
    ok(i < 20_000, "waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("Cluster lists and watches what is selected", async () => {
  await using api = new FakeApi();
  await using cluster = await connected(api, ["Pod", "DaemonSet"]);
  deepStrictEqual(cluster.state, { ok: true });
  deepStrictEqual(cluster.figures.objects, [{ kind: "Pod", count: 1 }, { kind: "DaemonSet", count: 1 }]);
  api.say("pods", "DELETED", POD);
  await until(() => cluster.figures.objects[0].count === 0);
  strictEqual(cluster.figures.watched.find(({ kind }) => kind === "Pod")?.events.DELETED, 1);
});

const DELETED = object({ name: "mermin", uid: "set", metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } });
const REFUSED: [what: string, kinds: readonly Kind[], say: (api: FakeApi) => void, expected: string | undefined][] = [
  ["as a pod that was deleted by force", ["Pod", "DaemonSet"], (api) => api.say("pods", "DELETED", POD), undefined],
  [
    "after the DaemonSet has gone",
    ["Pod", "DaemonSet"],
    (api) => api.say("daemonsets", "DELETED", DAEMON_SET),
    "its DaemonSet is gone (401)",
  ],
  [
    "while the DaemonSet is being deleted",
    ["Pod", "DaemonSet"],
    (api) => api.say("daemonsets", "MODIFIED", DELETED),
    "its DaemonSet is gone (401)",
  ],
  ["and watches no DaemonSets", ["Pod"], () => {}, "its DaemonSet is gone (401)"],
];
for (const [what, kinds, say, expected] of REFUSED) {
  Deno.test(`Cluster.whyNoSuccessor() when the agent is refused ${what}: ${expected ?? "one may come"}`, async () => {
    await using api = new FakeApi();
    await using cluster = await connected(api, kinds);
    strictEqual(await cluster.whyNoSuccessor(5000), undefined);
    say(api);
    await until(() =>
      cluster.figures.watched.some(({ events }) => events.DELETED + events.MODIFIED > 0) || kinds.length === 1
    );
    api.isRefusing = true;
    strictEqual(await cluster.whyNoSuccessor(5000), expected);
  });
}
