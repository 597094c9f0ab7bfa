import { strictEqual } from "node:assert/strict";
import { Log } from "../log.ts";
import { Connection } from "./api/access.ts";
import { OwnDaemonSet } from "./daemon_set.ts";
import type { KubernetesObject } from "./model/object.ts";
import type { Stored } from "./model/stored.ts";
import { object } from "./testing.ts";

const PODS = "/api/v1/namespaces/default/pods";
const DELETED = { deletionTimestamp: "2026-01-01T00:00:00Z" };
const daemonSet = (metadata: Partial<KubernetesObject["metadata"]> = {}) => object({ name: "mermin", metadata });

/** What watches have of it. */
function stored(goneMs = Infinity, metadata: Partial<KubernetesObject["metadata"]> = {}): Stored {
  return { kind: "DaemonSet", uid: daemonSet().metadata.uid, object: daemonSet(metadata), goneMs };
}

const THERE = stored();
const GONE = stored(1);
const GOING = stored(Infinity, DELETED);
const UNWATCHED = undefined;
/** There at the first look only. */
const SOON_GONE = [THERE, GONE];

const CASES: [
  what: string,
  answer: number | KubernetesObject,
  seen: Stored | Stored[] | undefined,
  expected: string | undefined,
][] = [
  ["is there", daemonSet(), THERE, undefined],
  ["is being deleted", daemonSet(DELETED), THERE, "its DaemonSet is being deleted"],
  ["is not found", 404, THERE, "its DaemonSet is gone (404)"],
  ["cannot be asked for", 500, GONE, undefined],
  ["is refused to a pod that was deleted by force", 401, THERE, undefined],
  ["is refused with the account, after it was seen to go", 401, GONE, "its DaemonSet is gone (401)"],
  ["is refused with the account, before it is seen to go", 401, SOON_GONE, "its DaemonSet is gone (401)"],
  ["is refused with the account, when it was seen to be deleted", 401, GOING, "its DaemonSet is gone (401)"],
  ["is refused with the account, and nothing watches it", 401, UNWATCHED, "its DaemonSet is gone (401)"],
  ["is no longer allowed", 403, THERE, undefined],
  ["is no longer allowed, after it was seen to go", 403, GONE, "its DaemonSet is gone (403)"],
  ["is no longer allowed, and nothing watches it", 403, UNWATCHED, "its DaemonSet is gone (403)"],
];

for (const [what, answer, seen, expected] of CASES) {
  Deno.test(`OwnDaemonSet.whyGone() when the DaemonSet ${what}: ${expected ?? "a successor may follow"}`, async () => {
    const controller = { kind: "DaemonSet", name: "mermin", uid: daemonSet().metadata.uid, controller: true };
    const pod = object({ name: "mermin-x", metadata: { ownerReferences: [controller] } });
    let isLearned = false;
    await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
      if (new URL(url).pathname.startsWith(PODS)) return Response.json(pod);
      if (!isLearned) return Response.json(daemonSet());
      return typeof answer === "number" ? new Response("{}", { status: answer }) : Response.json(answer);
    });
    const lines: string[] = [];
    const write = (line: string) => void lines.push(line);
    let looks = 0;
    const own = new OwnDaemonSet({
      connection: new Connection({ origin: "test", server: `http://127.0.0.1:${http.addr.port}` }),
      podPath: `${PODS}/mermin-x`,
      seen: (uid) => {
        if (uid !== daemonSet().metadata.uid) return undefined;
        return Array.isArray(seen) ? seen[looks++] : seen;
      },
      logger: new Log({ level: "info", format: "json", write, now: Date.now }).logger("kubernetes"),
    });
    await own.learn(new AbortController().signal);
    isLearned = true;
    strictEqual(await own.whyGone(5000), expected);
    strictEqual(lines.join(), "");
  });
}
