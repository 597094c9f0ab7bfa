import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict";
import type { Json, KubernetesObject } from "../model/object.ts";
import { Pool } from "./pool.ts";
import { StoredPod } from "./stored_pod.ts";

const POD = {
  metadata: {
    ...{ name: "a", namespace: "default", uid: "u", labels: { app: "a" } },
    ownerReferences: [{ kind: "ReplicaSet", name: "r", uid: "v", controller: true }],
  },
  spec: { nodeName: "node-a", containers: [{ name: "c", image: "i" }] },
  status: { hostIP: "10.1.0.1" },
};

/** Pods that differ from `POD` in one thing each. */
const OTHERS: Record<string, Json> = {
  name: { ...POD, metadata: { ...POD.metadata, name: "b" } },
  labels: { ...POD, metadata: { ...POD.metadata, labels: { app: "b" } } },
  annotations: { ...POD, metadata: { ...POD.metadata, annotations: { x: "y" } } },
  "no owner": { ...POD, metadata: { name: "a", namespace: "default", uid: "u", labels: { app: "a" } } },
  node: { ...POD, spec: { ...POD.spec, nodeName: "node-b" } },
  "no node": { ...POD, spec: { containers: POD.spec.containers } },
  image: { ...POD, spec: { ...POD.spec, containers: [{ name: "c", image: "j" }] } },
  "no spec": { metadata: POD.metadata, status: POD.status },
  status: { ...POD, status: { hostIP: "10.1.0.1", podIP: "10.0.0.1" } },
  "no status": { metadata: POD.metadata, spec: POD.spec },
  "something else": { ...POD, kind: "Pod" },
};

Deno.test("StoredPod gives back the pod that it took, and knows when that is another", () => {
  const pool = new Pool();
  for (const [name, other] of Object.entries(OTHERS)) {
    const stored = new StoredPod("u");
    for (const [one, isOther] of [[POD, true], [other, true], [structuredClone(other), false], [POD, true]] as const) {
      strictEqual(stored.take(structuredClone(one) as unknown as KubernetesObject, pool), isOther, name);
      deepStrictEqual(stored.object, one, name);
    }
  }
});

Deno.test("StoredPod shares what is alike with other pods", () => {
  const pool = new Pool();
  const [a, b] = ["a", "b"].map((name) => {
    const stored = new StoredPod(name);
    stored.take(structuredClone({ ...POD, metadata: { ...POD.metadata, name, uid: name } }), pool);
    return stored.object;
  });
  strictEqual(a.metadata.labels, b.metadata.labels);
  strictEqual(a.spec!.containers, b.spec!.containers);
  strictEqual(a.status, b.status);
});

Deno.test("Pool.one() never takes one part for another", () => {
  const pool = new Pool();
  const parts = Array.from({ length: 50_000 }, (_, i) => ({ i }));
  for (const part of parts) strictEqual(pool.one(part), part);
  strictEqual(pool.one({ i: 49_999 }), parts[49_999]);
  notStrictEqual(pool.one({ i: 0 }), parts[0], "it is forgotten by now");
});
