import { deepStrictEqual } from "node:assert/strict";
import { Log } from "../../log.ts";
import { ApiError } from "./api.ts";
import type { Kind } from "../model/kinds.ts";
import { Outages } from "./outages.ts";

const AWAY = new TypeError("connection refused");
const FORBIDDEN = new ApiError(403, "no right");

/** Outages whose time to gather passes when the test says so; `lines` is what they wrote since the last look. */
function outages() {
  let pass: (() => void)[] = [];
  const written: string[] = [];
  const write = (line: string) => {
    const { event, message } = JSON.parse(line);
    written.push(`${event}: ${message}`);
  };
  const logger = new Log({ level: "info", format: "json", write, now: Date.now }).logger("kubernetes");
  const sleep = () => new Promise<void>((resolve) => pass.push(resolve));
  return {
    outages: new Outages({ logger, origin: "the kubeconfig", sleep }),
    lines: () => written.splice(0),
    async gathered(): Promise<string[]> {
      for (const resolve of pass) resolve();
      pass = [];
      await new Promise((resolve) => setTimeout(resolve));
      return written.splice(0);
    },
  };
}

const KINDS: Kind[] = ["Pod", "Node", "Service"];
const away = (kinds: string) =>
  `k8s_watch_failed: cannot watch ${kinds}: connection refused; names stay as they are and it is tried again`;
const BACK = "k8s_recovered: the API server answers again";

Deno.test("Outages write one line for all kinds that begin to fail, and one when the last is well again", async () => {
  const { outages: all, lines, gathered } = outages();
  for (let round = 0; round < 2; round++) {
    for (const kind of KINDS) all.failed(kind, AWAY);
    deepStrictEqual(await gathered(), [away("Pod, Node, Service")]);
    for (const kind of KINDS) all.failed(kind, AWAY);
    all.recovered("Pod");
    all.recovered("Node");
    deepStrictEqual(await gathered(), []);
    all.recovered("Service");
    deepStrictEqual(lines(), [BACK]);
  }
});

Deno.test("Outages say nothing of what is over at once", async () => {
  const { outages: all, gathered } = outages();
  all.failed("Pod", AWAY);
  all.recovered("Pod");
  deepStrictEqual(await gathered(), []);
});

Deno.test("Outages tell a missing right from a server that is away, and one outage from the next", async () => {
  const { outages: all, lines, gathered } = outages();
  all.failed("Gateway", FORBIDDEN);
  deepStrictEqual(await gathered(), [
    "k8s_forbidden: may not read Gateway: no right; allow list and watch, the rest goes on without them",
  ]);
  all.failed("Pod", AWAY);
  deepStrictEqual(await gathered(), [away("Pod")]);
  // It answers, but says no now: that is no recovery.
  all.failed("Pod", FORBIDDEN);
  deepStrictEqual((await gathered()).length, 1);
  all.recovered("Pod");
  all.recovered("Gateway");
  deepStrictEqual(lines(), Array(2).fill("k8s_recovered: all of it may be read again"));
});

Deno.test("Outages name the origin of a credential that is refused", async () => {
  const { outages: all, gathered } = outages();
  all.failed("Pod", new ApiError(401, "Unauthorized"));
  deepStrictEqual(await gathered(), [
    "k8s_watch_failed: cannot watch Pod: the server refuses who we are (the kubeconfig): Unauthorized; " +
    "names stay as they are and it is tried again",
  ]);
});
