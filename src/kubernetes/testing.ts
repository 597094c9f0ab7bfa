/** Fakes and builders for tests. */

import { FlowSpan } from "../flow/span.ts";
import { Log } from "../log.ts";
import { Histogram } from "../metrics/histogram.ts";
import { createHistograms } from "../metrics/histograms.ts";
import type { ClusterOptions } from "./cluster.ts";
import { Decorator } from "./describe/decorator.ts";
import { DEFAULT_METADATA, defaultAttributes } from "./defaults.ts";
import { Describer } from "./describe/describe.ts";
import type { Kind } from "./model/kinds.ts";
import type { KubeconfigIo } from "./api/kubeconfig.ts";
import type { KubernetesObject } from "./model/object.ts";
import type { Selector } from "./model/selection.ts";
import { planOf } from "./plan.ts";
import { Store } from "./index/store.ts";
import type { Direction } from "./model/stored.ts";

/** Files by path, variables by name; a kubeconfig is JSON, which is YAML too. */
export function kubeconfigIo(
  files: Readonly<Record<string, unknown>> = {},
  variables: Readonly<Record<string, string>> = {},
): KubeconfigIo & { mayRead(path: string): boolean } {
  return {
    env: (name) => variables[name],
    readText(path) {
      if (!(path in files)) throw new Deno.errors.NotFound(`no ${path}`);
      return JSON.stringify(files[path]);
    },
    parseYaml: JSON.parse,
    mayRead: () => true,
  };
}

/** A selector of all objects of a kind, but for what a test says. */
export function selector(kind: Kind, change: Partial<Selector> = {}): Selector {
  return { kind, namespaces: [], include: true, matchLabels: {}, matchExpressions: [], ...change };
}

/** All that a cluster needs but for its access; `write` takes its log, a line of JSON each. */
export function clusterOptions(
  selectors: readonly Selector[],
  write: (line: string) => void,
): Omit<ClusterOptions, "access"> {
  const histograms = createHistograms();
  return {
    informer: {
      ...{ kubeconfigPath: "", informersSyncTimeoutMs: 5000, selectors: [...selectors], selectorRelations: [] },
      ownerRelations: { maxDepth: 5, includeKinds: [], excludeKinds: [] },
    },
    directions: {
      source: { k8s: defaultAttributes("source") },
      destination: { k8s: defaultAttributes("destination") },
    },
    retainMs: 60_000,
    logger: new Log({ level: "info", format: "json", write, now: Date.now }).logger("kubernetes"),
    indexSeconds: histograms.clusterIndex,
    decoratorSeconds: histograms.decoratorOut,
  };
}

/** What a test says of an object; the rest is made up. */
export interface ObjectParts {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly metadata?: Partial<KubernetesObject["metadata"]>;
  readonly spec?: unknown;
  readonly status?: unknown;
}

/** An object as an API server has it. */
export function object(
  { name = "a", namespace = "default", uid, labels, metadata, spec, status }: ObjectParts,
): KubernetesObject {
  return {
    metadata: { name, namespace, uid: uid ?? `uid-${namespace}-${name}`, labels, ...metadata },
    spec,
    status,
  } as KubernetesObject;
}

const RELATIONS = [{
  ...{ kind: "Service" as const, to: "Pod" as const },
  ...{ selectorMatchLabelsField: "spec.selector", selectorMatchExpressionsField: "" },
}];
const RETAIN_MS = 60_000;

/** A small cluster with a clock of its own, and what its decorator makes of flows. */
export function cluster(metadata: readonly string[] = DEFAULT_METADATA) {
  const informer = {
    ...{ kubeconfigPath: "", informersSyncTimeoutMs: 1000, selectors: [], selectorRelations: RELATIONS },
    ownerRelations: { maxDepth: 5, includeKinds: [], excludeKinds: [] },
  };
  const attributes = (direction: Direction) => {
    const { extract, association } = defaultAttributes(direction);
    return { k8s: { extract: { ...extract, metadata: [...metadata] }, association } };
  };
  const plan = planOf(informer, { source: attributes("source"), destination: attributes("destination") });
  const clock = { nowMs: 1_000_000 };
  const store = new Store({ ...plan, retainMs: RETAIN_MS, now: () => clock.nowMs });
  const describer = (direction: Direction) =>
    new Describer({
      ...{ objects: store, extractor: plan.extractors[direction], owners: informer.ownerRelations },
      ...{ direction, relations: plan.relations, cluster: () => ({ uid: "", name: "" }) },
    });
  const describers = { source: describer("source"), destination: describer("destination") };
  const seconds = new Histogram([1]);
  const errors: unknown[] = [];
  const decorator = new Decorator({
    ...{ index: plan.index, describers, policies: plan.policies, seconds },
    onError: (error) => errors.push(error),
  });
  const uidOf = (kind: Kind, { name, namespace = "" }: ObjectParts) => `${kind}-${namespace}-${name}`;
  const add = (kind: Kind, parts: ObjectParts) => store.put(kind, object({ uid: uidOf(kind, parts), ...parts }));
  const remove = (kind: Kind, parts: ObjectParts) => store.remove(uidOf(kind, parts), object(parts), clock.nowMs);
  return { decorator, describers, seconds, errors, clock, add, remove };
}

/** A flow whose window began at `startMs`, milliseconds since the epoch, and ended then. */
export function flowAt(startMs: number, change: Partial<FlowSpan>): FlowSpan {
  const span = Object.assign(new FlowSpan(), {
    ...{ sourceAddress: "10.0.0.1", sourcePort: 40_000, destinationAddress: "10.0.0.2", destinationPort: 8080 },
    ...{ networkType: "ipv4", transport: "tcp", direction: "forward", ...change },
  });
  const ns = BigInt(startMs) * 1_000_000n;
  const at = { lo: Number(ns & 0xffff_ffffn), hi: Number(ns >> 32n) };
  Object.assign(span.startNs, at);
  Object.assign(span.endNs, at);
  return span;
}

/** A small generator with a seed, so that a failure can be repeated (mulberry32). */
export function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
