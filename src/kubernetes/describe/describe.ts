/** What is said about the objects at one end of a flow: their own fields, their owners, what selects them, the container. */

import { Attributes } from "./attributes.ts";
import type { Extractor, Take } from "./extract.ts";
import { type Kind, KINDS } from "../model/kinds.ts";
import { type Expression, isEmpty, type LabelSelector, selects } from "../model/label_selector.ts";
import {
  childOf,
  controllerOf,
  type Json,
  type KubernetesObject,
  type OwnerReference,
  type Path,
} from "../model/object.ts";
import { Pool } from "../index/pool.ts";
import type { Described, Direction, Objects, Said, Stored } from "../model/stored.ts";

export interface OwnerRelations {
  readonly maxDepth: number;
  readonly includeKinds: readonly Kind[];
  readonly excludeKinds: readonly Kind[];
}

export interface SelectorRelation {
  readonly kind: Kind;
  readonly to: Kind;
  readonly matchLabels: Path | undefined;
  readonly matchExpressions: Path | undefined;
}

export interface DescriberOptions {
  readonly objects: Objects;
  readonly extractor: Extractor;
  readonly owners: OwnerRelations;
  readonly relations: readonly SelectorRelation[];
  /** In front of every name. */
  readonly direction: Direction;
  /** Uid and name of the cluster, `""` as long as they are not known. */
  readonly cluster: () => { readonly uid: string; readonly name: string };
}

/** The order in which objects at one end speak; what one has said, the next does not say again. */
const ORDER: readonly Kind[] = [
  "Pod",
  "Service",
  "Endpoint",
  "EndpointSlice",
  "Node",
  "Gateway",
  "Ingress",
  "NetworkPolicy",
];

/** Says it once per object, and again only after a change. */
export class Describer {
  readonly #options: DescriberOptions;
  /** What may select an object, by kind and namespace, as of an epoch. */
  #selecting = new Map<string, Selecting[]>();
  #selectingEpoch = -1;
  readonly #names = new Pool();

  constructor(options: DescriberOptions) {
    this.#options = options;
  }

  /** What was said holds as long as this does not grow. */
  get epoch(): number {
    return this.#options.objects.epoch;
  }

  /** What is to be said of an end where `found` are, at most one of a kind, and `port` is used. */
  describe(found: readonly Stored[], port: number, transport: string): Described | undefined {
    if (found.length === 0) return undefined;
    const first = found.length === 1 ? found[0] : found.reduce(leading);
    const container = first.kind === "Pod" ? containerAt(first.object, port, transport) : "";
    const { objects: { epoch }, direction } = this.#options;
    // Objects that are gone keep what was said: their owners may be gone as well.
    if (first.said?.epoch !== epoch && first.goneMs === Infinity) first.said = undefined;
    for (let said: Said | undefined = first.said; said; said = said.next) {
      if (said.direction === direction && said.container === container && isSame(said.found, found)) return said.facts;
    }
    const facts = this.#describe(found, first, container);
    first.said = { direction, epoch, found, container, facts, next: first.said };
    return facts;
  }

  #describe(found: readonly Stored[], first: Stored, container: string): Described | undefined {
    const attributes = new Map<string, string>();
    const prefix = this.#options.direction;
    const take: Take = (name, value) => {
      const whole = `${prefix}.${name}`;
      if (value !== "" && !attributes.has(whole)) attributes.set(whole, value);
    };
    const podNode = first.kind === "Pod" ? nodeNameOf(first.object) : "";
    for (const kind of ORDER) {
      // The node at the address may be another: the one that gave a port to the pod's service.
      if (kind === "Node" && podNode !== "") this.#sayNode(podNode, take);
      else for (const stored of found) if (stored.kind === kind) this.#say(stored, found, take);
    }
    if (container !== "") sayContainer(first.object, container, take);
    const { uid, name } = this.#options.cluster();
    take("k8s.cluster.uid", uid);
    take("k8s.cluster.name", name);
    const pod = first.kind === "Pod" ? first : undefined;
    if (attributes.size === 0 && !pod) return undefined;
    return { attributes: new Attributes(this.#names.one([...attributes.keys()]), [...attributes.values()]), pod };
  }

  #say(stored: Stored, found: readonly Stored[], take: Take): void {
    const { extractor } = this.#options;
    extractor.describe(stored.kind, stored.object, take);
    this.#sayOwners(stored.object, take);
    this.#sayRelated(stored, found, take);
  }

  /** A node that is not known has at least its name. */
  #sayNode(name: string, take: Take): void {
    const { objects, extractor } = this.#options;
    const node = objects.named("Node", name);
    if (node) extractor.describe("Node", node.object, take);
    else extractor.describeReference("Node", { name, uid: "" }, take);
  }

  #sayOwners(object: KubernetesObject, take: Take): void {
    const { objects, extractor, owners: { maxDepth, includeKinds, excludeKinds } } = this.#options;
    let at: KubernetesObject | undefined = object;
    for (let depth = 0; depth < maxDepth && at; depth++) {
      const reference: OwnerReference | undefined = controllerOf(at);
      if (!reference) return;
      const kind = KINDS.find((kind) => kind === reference.kind);
      const owner = objects.ownerByUid(reference.uid);
      const isNamed = kind !== undefined && !excludeKinds.includes(kind) &&
        (includeKinds.length === 0 || includeKinds.includes(kind));
      if (isNamed && owner) extractor.describe(kind, owner.object, take);
      else if (isNamed) extractor.describeReference(kind, reference, take);
      at = owner?.object;
    }
  }

  /**
   * Objects whose selector fits. A name stands for one object, so of several of a kind none is named, and of a kind that was
   * found by its address no other.
   */
  #sayRelated(stored: Stored, found: readonly Stored[], take: Take): void {
    const { extractor, relations } = this.#options;
    const { namespace, labels } = stored.object.metadata;
    for (const relation of relations) {
      if (relation.to !== stored.kind || found.some(({ kind }) => kind === relation.kind)) continue;
      let only: Stored | undefined;
      let count = 0;
      for (const { stored, relation: other, selector } of this.#inNamespace(relation.kind, namespace)) {
        if (other !== relation || !selects(selector, labels)) continue;
        only = stored;
        count++;
      }
      if (only && count === 1) extractor.describe(only.kind, only.object, take);
    }
  }

  #inNamespace(kind: Kind, namespace = ""): readonly Selecting[] {
    const { objects, relations } = this.#options;
    if (this.#selectingEpoch !== objects.epoch) {
      this.#selectingEpoch = objects.epoch;
      this.#selecting = new Map();
      for (const relation of relations) {
        for (const stored of objects.selecting(relation.kind)) {
          const selector = selectorOf(stored, relation);
          if (!selector) continue;
          const key = `${relation.kind} ${stored.object.metadata.namespace ?? ""}`;
          const others = this.#selecting.get(key);
          if (others) others.push({ stored, relation, selector });
          else this.#selecting.set(key, [{ stored, relation, selector }]);
        }
      }
    }
    return this.#selecting.get(`${kind} ${namespace}`) ?? [];
  }
}

/** What may select others, and by what. */
interface Selecting {
  readonly stored: Stored;
  readonly relation: SelectorRelation;
  readonly selector: LabelSelector;
}

function nodeNameOf(pod: KubernetesObject): string {
  const name = childOf(pod.spec, "nodeName");
  return typeof name === "string" ? name : "";
}

function leading(best: Stored, next: Stored): Stored {
  return ORDER.indexOf(next.kind) < ORDER.indexOf(best.kind) ? next : best;
}

function isSame(a: readonly Stored[], b: readonly Stored[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** `undefined` when the object has no selector; a service without one selects nothing, a policy with an empty one everything. */
function selectorOf(stored: Stored, { matchLabels, matchExpressions }: SelectorRelation): LabelSelector | undefined {
  const labels = matchLabels && at(stored.object, matchLabels);
  const expressions = matchExpressions && at(stored.object, matchExpressions);
  const selector = {
    matchLabels: (labels ?? {}) as Readonly<Record<string, string>>,
    matchExpressions: ((expressions ?? []) as unknown as Partial<Expression>[]).map(({ key, operator, values }) => ({
      key: key ?? "",
      operator: operator ?? "In",
      values: values ?? [],
    })),
  };
  return isEmpty(selector) && stored.kind !== "NetworkPolicy" ? undefined : selector;
}

function at(object: KubernetesObject, path: Path): Json | undefined {
  return path.reduce<Json | undefined>((value, { name }) => childOf(value, name), object as unknown as Json);
}

interface Container {
  readonly name: string;
  readonly image?: string;
  readonly ports?: readonly { readonly containerPort: number; readonly protocol?: string }[];
}

function containersOf({ spec }: KubernetesObject): readonly Container[] {
  const lists = spec as { containers?: readonly Container[]; initContainers?: readonly Container[] } | undefined;
  return [...lists?.containers ?? [], ...lists?.initContainers ?? []];
}

/** Name of the container that has declared the port; `""` when none has. */
function containerAt(pod: KubernetesObject, port: number, transport: string): string {
  if (port < 0) return "";
  const spec = pod.spec as { containers?: readonly Container[]; initContainers?: readonly Container[] } | undefined;
  return (find(spec?.containers, port, transport) ?? find(spec?.initContainers, port, transport))?.name ?? "";
}

function find(containers: readonly Container[] | undefined, port: number, transport: string): Container | undefined {
  return containers?.find(({ ports }) =>
    ports?.some(({ containerPort, protocol = "TCP" }) => containerPort === port && protocol.toLowerCase() === transport)
  );
}

function sayContainer(pod: KubernetesObject, name: string, take: Take): void {
  take("k8s.container.name", name);
  take("container.name", name);
  take("container.image.name", imageName(containersOf(pod).find((container) => container.name === name)?.image ?? ""));
}

/** Without tag and digest (OpenTelemetry semantic conventions, `container.image.name`). */
function imageName(image: string): string {
  return image.replace(/@.*$/, "").replace(/:[^:/]*$/, "");
}

/** The kind of a relation's path or block, for the paths that objects must keep. */
export function relationPaths(relations: readonly SelectorRelation[], kind: Kind): Path[] {
  return relations.filter((relation) => relation.kind === kind)
    .flatMap(({ matchLabels, matchExpressions }) =>
      [matchLabels, matchExpressions].filter((path) => path !== undefined)
    );
}
