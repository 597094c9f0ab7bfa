import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Describer, type DescriberOptions } from "./describe.ts";
import { type Extract, Extractor } from "./extract.ts";
import type { Kind } from "../model/kinds.ts";
import { parsePath } from "../model/object.ts";
import type { Stored } from "../model/stored.ts";
import { object, type ObjectParts } from "../testing.ts";

const RELATIONS: DescriberOptions["relations"] = [
  { kind: "Service", to: "Pod", matchLabels: parsePath("spec.selector"), matchExpressions: undefined },
];

/** A small cluster, and what is said of the ends of its flows. */
function cluster(extract: Partial<Extract> = {}, change: Partial<DescriberOptions> = {}) {
  const all: Stored[] = [];
  const objects = {
    epoch: 0,
    ownerByUid: (uid: string) => all.find((stored) => stored.uid === uid),
    selecting: (kind: Kind) => all.filter((stored) => stored.kind === kind),
    named: (kind: Kind, name: string) =>
      all.find((stored) => stored.kind === kind && stored.object.metadata.name === name),
  };
  const describer = new Describer({
    objects,
    extractor: new Extractor({ metadata: ["[*].metadata.name"], label: [], annotation: [], ...extract }),
    owners: { maxDepth: 5, includeKinds: [], excludeKinds: [] },
    relations: RELATIONS,
    direction: "source",
    cluster: () => ({ uid: "", name: "" }),
    ...change,
  });
  const add = (kind: Kind, parts: ObjectParts): Stored => {
    const whole = object(parts);
    const stored: Stored = { kind, uid: whole.metadata.uid, object: whole, goneMs: Infinity };
    all.push(stored);
    return stored;
  };
  const say = (found: Stored[], port = -1) =>
    Object.fromEntries(describer.describe(found, port, "tcp")?.attributes ?? []);
  return { add, say, describer, objects };
}

const owned = (kind: string, name: string) => ({
  metadata: { ownerReferences: [{ kind, name, uid: `uid-default-${name}`, controller: true }] },
});

Deno.test("Describer follows owners, also to those that are known by a reference only", () => {
  const { add, say } = cluster();
  const pod = add("Pod", { name: "p", ...owned("Job", "j") });
  add("Job", { name: "j", ...owned("CronJob", "c") });
  deepStrictEqual(say([pod]), {
    "source.k8s.pod.name": "p",
    "source.k8s.job.name": "j",
    "source.k8s.cronjob.name": "c",
  });
});

Deno.test("Describer honours depth, include and exclude of owners", () => {
  const names = (owners: Partial<DescriberOptions["owners"]>) => {
    const { add, say } = cluster({}, { owners: { maxDepth: 5, includeKinds: [], excludeKinds: [], ...owners } });
    const pod = add("Pod", { name: "p", ...owned("ReplicaSet", "r") });
    add("ReplicaSet", { name: "r", ...owned("Deployment", "d") });
    return Object.values(say([pod]));
  };
  deepStrictEqual(names({}), ["p", "r", "d"]);
  deepStrictEqual(names({ maxDepth: 1 }), ["p", "r"]);
  deepStrictEqual(names({ maxDepth: 0 }), ["p"]);
  deepStrictEqual(names({ includeKinds: ["Deployment"] }), ["p", "d"]);
  deepStrictEqual(names({ includeKinds: ["Deployment"], excludeKinds: ["Deployment"] }), ["p"]);
});

Deno.test("Describer names what selects a pod, if that is one object of its namespace", () => {
  const { add, say, objects } = cluster();
  const pod = add("Pod", { name: "p", labels: { app: "x", tier: "y" } });
  add("Service", { name: "other", namespace: "elsewhere", spec: { selector: { app: "x" } } });
  add("Service", { name: "s", spec: { selector: { app: "x" } } });
  add("Service", { name: "external", spec: {} });
  strictEqual(say([pod])["source.k8s.service.name"], "s");
  add("Service", { name: "s2", spec: { selector: { tier: "y" } } });
  objects.epoch++;
  strictEqual(say([pod])["source.k8s.service.name"], undefined);
});

Deno.test("Describer names the container that has declared the port", () => {
  const { add, say } = cluster();
  const containers = [
    { name: "a", image: "r.example:5000/team/a:1@sha256:00", ports: [{ containerPort: 80 }] },
    { name: "b", image: "b", ports: [{ containerPort: 81, protocol: "UDP" }] },
  ];
  const pod = add("Pod", { name: "p", spec: { containers } });
  deepStrictEqual(say([pod], 80), {
    "source.k8s.pod.name": "p",
    "source.k8s.container.name": "a",
    "source.container.name": "a",
    "source.container.image.name": "r.example:5000/team/a",
  });
  deepStrictEqual(say([pod], 81), { "source.k8s.pod.name": "p" });
});

Deno.test("Describer makes attributes of labels and annotations, with back-references", () => {
  const block = { from: "pod", key: "", keyRegex: "", valueRegex: "", attribute: "", attributeValue: "" };
  const { add, say } = cluster({
    metadata: [],
    label: [
      { ...block, key: "app" },
      { ...block, keyRegex: "team/(.*)", attribute: "team.$1" },
      { ...block, from: "[*]", key: "version", valueRegex: "^(\\d+)\\.", attribute: "major", attributeValue: "v$1" },
    ],
    annotation: [{ ...block, key: "owner" }],
  });
  const labels = { app: "x", "team/name": "red", version: "12.3", other: "o" };
  const pod = add("Pod", { name: "p", labels, metadata: { annotations: { owner: "me", big: "…" } } });
  deepStrictEqual(say([pod]), {
    "source.k8s.pod.label.app": "x",
    "source.team.name": "red",
    "source.major": "v12",
    "source.k8s.pod.annotation.owner": "me",
  });
});

Deno.test("Describer.describe() gives the same object until something changes, and for what is gone for good", () => {
  const { add, describer, objects } = cluster();
  const pod = add("Pod", { name: "p", ...owned("Job", "j") });
  const say = () => describer.describe([pod], -1, "tcp");
  const first = say();
  strictEqual(say(), first);
  objects.epoch++;
  strictEqual(say() === first, false);
  pod.goneMs = 1;
  const last = say();
  objects.epoch++;
  strictEqual(say(), last);
});

Deno.test("Describer names the node of a pod, whichever node has the address", () => {
  const { add, say } = cluster({ metadata: ["[*].metadata.name", "[*].metadata.uid"] });
  const pod = add("Pod", { name: "p", spec: { nodeName: "b" } });
  const other = add("Node", { name: "a" });
  const facts = { "source.k8s.pod.name": "p", "source.k8s.pod.uid": "uid-default-p", "source.k8s.node.name": "b" };
  deepStrictEqual(say([pod, other]), facts, "a node that is not known is known by its name");
  const node = add("Node", { name: "b" });
  pod.said = undefined;
  deepStrictEqual(say([pod]), { ...facts, "source.k8s.node.uid": node.uid });
});

Deno.test("Describer says of what cluster each end is, when that is known", () => {
  const { add, say } = cluster({}, { cluster: () => ({ uid: "u", name: "n" }) });
  const node = add("Node", { name: "a" });
  deepStrictEqual(say([node]), {
    "source.k8s.node.name": "a",
    "source.k8s.cluster.uid": "u",
    "source.k8s.cluster.name": "n",
  });
});
