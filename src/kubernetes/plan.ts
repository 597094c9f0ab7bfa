/** What the configuration means for the copy of the cluster: which fields are kept, how ends are found and described. */

import { AddressIndex } from "./index/address_index.ts";
import { relationPaths, type SelectorRelation } from "./describe/describe.ts";
import { Extractor } from "./describe/extract.ts";
import { type Kind, KINDS } from "./model/kinds.ts";
import { type Mask, maskOf, parsePath, type Path } from "./model/object.ts";
import { Policies } from "./policies/policies.ts";
import { compileRules, joinRules } from "./index/rules.ts";
import type { DirectionsConfig, InformerConfig } from "./settings.ts";
import type { Direction } from "./model/stored.ts";

export interface Plan {
  readonly relations: readonly SelectorRelation[];
  /** Fields of each kind that are kept, for something may be said of them. */
  readonly masks: ReadonlyMap<Kind, Mask>;
  readonly extractors: Readonly<Record<Direction, Extractor>>;
  /** Takes the addresses from whole objects, for both directions. */
  readonly index: AddressIndex;
  readonly policies: Policies;
  /** Kinds of which nothing but the metadata is used. */
  readonly metadataOnly: ReadonlySet<Kind>;
  /** Kinds that select other objects. */
  readonly selecting: ReadonlySet<Kind>;
}

const ALWAYS = [
  ...["name", "namespace", "uid"].map((name) => `metadata.${name}`),
  ...["kind", "name", "uid", "controller"].map((name) => `metadata.ownerReferences[*].${name}`),
];
/** What tells the containers of a pod and its node. */
const OF_PODS = [
  "status.hostIP",
  "spec.nodeName",
  ...["containers", "initContainers"].flatMap((list) =>
    ["name", "image", "ports[*].containerPort", "ports[*].protocol"].map((field) => `spec.${list}[*].${field}`)
  ),
];

/** What network policies ask of objects, where there are any to watch. */
const FOR_POLICIES: { readonly [kind in Kind]?: readonly string[] } = {
  NetworkPolicy: ["podSelector", "policyTypes", "ingress", "egress"].map((field) => `spec.${field}`),
  Namespace: ["metadata.labels"],
  Pod: ["metadata.labels", "spec.hostNetwork", ...portNames("containers"), ...portNames("initContainers")],
};

function portNames(list: string): string[] {
  return [`spec.${list}[*].ports[*].name`];
}

/** @throws {TypeError} for what the checks of the configuration should not have let through */
export function planOf(informer: InformerConfig, directions: DirectionsConfig): Plan {
  const relations = informer.selectorRelations.map((relation) => ({
    kind: relation.kind,
    to: relation.to,
    matchLabels: optionalPath(relation.selectorMatchLabelsField),
    matchExpressions: optionalPath(relation.selectorMatchExpressionsField),
  }));
  const extractorOf = (direction: Direction) => new Extractor(directions[direction].k8s.extract);
  const rulesOf = (direction: Direction) => compileRules(direction, directions[direction].k8s.association);
  const hasPolicies = informer.selectors.length === 0 ||
    informer.selectors.some(({ kind }) => kind === "NetworkPolicy");
  const extractors = { source: extractorOf("source"), destination: extractorOf("destination") };
  const pathsOf = (kind: Kind): Path[] => [
    ...ALWAYS.map(parsePath),
    ...(kind === "Pod" ? OF_PODS : []).map(parsePath),
    // `OwnDaemonSet` asks for it.
    ...(kind === "DaemonSet" ? [parsePath("metadata.deletionTimestamp")] : []),
    ...(relations.some(({ to }) => to === kind) ? [parsePath("metadata.labels")] : []),
    ...(hasPolicies ? FOR_POLICIES[kind] ?? [] : []).map(parsePath),
    ...relationPaths(relations, kind),
    ...Object.values(extractors).flatMap((extractor) => extractor.paths(kind)),
  ];
  const rules = joinRules(rulesOf("source"), rulesOf("destination"));
  const isMetadataOnly = (kind: Kind) =>
    !rules.some((rule) => rule.kind === kind) && pathsOf(kind).every(([{ name }]) => name === "metadata");
  return {
    relations,
    masks: new Map(KINDS.map((kind) => [kind, maskOf(pathsOf(kind))])),
    metadataOnly: new Set(KINDS.filter(isMetadataOnly)),
    extractors,
    index: new AddressIndex(rules),
    policies: new Policies(),
    selecting: new Set(relations.map(({ kind }) => kind)),
  };
}

function optionalPath(text: string): Path | undefined {
  return text === "" ? undefined : parsePath(text);
}
