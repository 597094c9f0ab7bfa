import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { defaultAttributes } from "./defaults.ts";
import { cut } from "./model/object.ts";
import { planOf } from "./plan.ts";

const INFORMER = {
  ...{ kubeconfigPath: "", informersSyncTimeoutMs: 1, selectors: [], selectorRelations: [] },
  ownerRelations: { maxDepth: 5, includeKinds: [], excludeKinds: [] },
};

function plan(metadata: readonly string[]) {
  const attributes = (direction: "source" | "destination") => {
    const { association, extract } = defaultAttributes(direction);
    return { k8s: { association, extract: { ...extract, metadata } } };
  };
  return planOf(INFORMER, { source: attributes("source"), destination: attributes("destination") });
}

Deno.test("planOf() asks for whole objects only of kinds of which more than the metadata is used", () => {
  const owners = ["CronJob", "DaemonSet", "Deployment", "Job", "Namespace", "ReplicaSet", "StatefulSet"];
  deepStrictEqual([...plan(["[*].metadata.name"]).metadataOnly].sort(), owners);
  strictEqual(plan(["[*].metadata.name", "job.spec.parallelism"]).metadataOnly.has("Job"), false);
});

Deno.test("planOf() keeps that a DaemonSet is being deleted, for the agent asks for its own", () => {
  const metadata = { name: "a", deletionTimestamp: "2026-01-01T00:00:00Z", annotations: { a: "b" } };
  const { name, deletionTimestamp } = metadata;
  const kept = cut({ metadata }, plan([]).masks.get("DaemonSet")!);
  deepStrictEqual(kept, { metadata: { name, deletionTimestamp } });
});
