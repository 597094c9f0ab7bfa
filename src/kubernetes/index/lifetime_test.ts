import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { deletedPodEnd, podEnd, podStartMs, waitsOn } from "./lifetime.ts";
import type { KubernetesObject } from "../model/object.ts";
import { object } from "../testing.ts";

const at = (seconds: number) => new Date(seconds * 1000).toISOString();
const container = (finished?: number) => ({
  state: finished === undefined ? { running: {} } : { terminated: { finishedAt: at(finished) } },
});
const pod = (phase: string, containerStatuses: unknown[], metadata = {}) =>
  object({
    status: { phase, containerStatuses, startTime: at(100) },
    metadata: { creationTimestamp: at(90), ...metadata },
  });

Deno.test("podStartMs() is when the node took the pod up, by the slowest of clocks", () => {
  strictEqual(podStartMs(pod("Running", [])), 99_000);
  strictEqual(podStartMs(object({ metadata: { creationTimestamp: at(90) } })), 89_000);
});

Deno.test("podEnd() is the end of the last container of a pod that has ended, or when that was seen", () => {
  const end = (one: KubernetesObject) => podEnd(one, 200_000);
  strictEqual(end(pod("Running", [container(150)])), undefined);
  deepStrictEqual(end(pod("Succeeded", [container(150), container(160)])), { sureMs: 159_000, goneMs: 162_000 });
  deepStrictEqual(end(pod("Failed", [container(150), container()])), { sureMs: -Infinity, goneMs: 200_000 });
  const asked = { deletionTimestamp: at(180), deletionGracePeriodSeconds: 30 };
  deepStrictEqual(end(pod("Running", [], asked)), { sureMs: 149_000, goneMs: Infinity, isAsked: true });
});

Deno.test("waitsOn() is the node of a pod that has no address yet, as far as is known", () => {
  const on = (spec: unknown, status: unknown) => waitsOn(object({ spec, status }));
  strictEqual(on({ nodeName: "a" }, { phase: "Pending" }), "a");
  strictEqual(on({}, { phase: "Pending" }), "");
  strictEqual(on({ nodeName: "a" }, { phase: "Running", podIP: "10.0.0.1" }), "");
  strictEqual(on({ nodeName: "a" }, { phase: "Failed" }), "");
  strictEqual(on({ nodeName: "a", hostNetwork: true }, { phase: "Pending" }), "");
});

Deno.test("deletedPodEnd() trusts the containers, else the time when the deletion was asked", () => {
  deepStrictEqual(deletedPodEnd(pod("Running", [container(150)]), 200_000), { sureMs: 149_000, goneMs: 152_000 });
  const asked = { deletionTimestamp: at(180), deletionGracePeriodSeconds: 30 };
  deepStrictEqual(deletedPodEnd(pod("Running", [container()], asked), 200_000), { sureMs: 149_000, goneMs: 200_000 });
  deepStrictEqual(deletedPodEnd(pod("Running", []), 200_000), { sureMs: 199_000, goneMs: 200_000 });
});
