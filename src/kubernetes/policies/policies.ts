/** Which NetworkPolicies let a flow pass, as they were when it began. */

import { addressBytes } from "../model/cidr.ts";
import { isEmpty, type LabelSelector, selects } from "../model/label_selector.ts";
import { isSame, type KubernetesObject } from "../model/object.ts";
import { edgesOf, fitsPort, hasNamedPorts, isAbout, type Peer, type Policy, type PolicyType } from "./policy.ts";
import type { Stored } from "../model/stored.ts";
import { Versions } from "./versions.ts";

/** One end of a flow, as a policy sees it: behind the address of a service. */
export interface PolicyEnd {
  address: string;
  /** -1 where there is none. */
  port: number;
  pod: Stored | undefined;
}

export interface Change {
  readonly stored: Stored;
  /** What the object was, if it was there. */
  readonly before: KubernetesObject | undefined;
  /** What it says, if it is one. */
  readonly policy: Policy | undefined;
  /** It came in the second that begins then, by its own word, and at the latest at `nowMs`. */
  readonly startMs: number;
  readonly nowMs: number;
}

/** The policies of one namespace. */
interface Realm {
  readonly byName: Map<string, Versions<Policy>>;
  /** What was found out since the last change, in no order. */
  views: View[];
}

/** Between two changes of the policies of a namespace. */
interface View {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly policies: readonly Policy[];
  readonly kept: WeakMap<KubernetesObject, Readonly<Record<PolicyType, Kept>>>;
}

/** What was found out about one pod, by the address of its peer. */
interface Kept {
  readonly policies: readonly Policy[];
  readonly peers: Map<string, KeptPeer>;
  /** Ports between two of these are all alike; `undefined` when they are other ones for every peer. */
  readonly edges: readonly number[] | undefined;
}

/** Holds as long as the labels of the peer's namespace are the same. */
interface KeptPeer {
  readonly pod: KubernetesObject | undefined;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly edges: readonly number[];
  first: KeptNames | undefined;
  size: number;
}

/** What is said of a called port, by its place among the edges and its protocol; the next hangs on it. */
interface KeptNames {
  readonly place: number;
  readonly names: readonly string[];
  readonly next: KeptNames | undefined;
}

interface Question {
  readonly type: PolicyType;
  readonly pod: KubernetesObject;
  readonly peer: KubernetesObject | undefined;
  readonly peerAddress: string;
  readonly port: number;
  readonly transport: string;
  readonly startMs: number;
}

const NONE: readonly string[] = [];
const TRANSPORTS = ["tcp", "udp", "sctp"];
/** What is beyond these limits makes what was kept begin anew. */
const MAX_VIEWS = 16;
const MAX_PEERS = 1024;
const MAX_PLACES = 16;
const MAX_LISTS = 4096;
/** The API has whole seconds, cut off. */
const SECOND_MS = 1000;

/** Hears of every change from the store. Pods in the network of their node are no pods to a policy: it sees the node. */
export class Policies {
  readonly #realms = new Map<string, Realm>();
  readonly #namespaces = new Map<string, Versions<KubernetesObject>>();
  /** Pods whose labels have changed. */
  readonly #pods = new Map<Stored, Versions<KubernetesObject>>();
  /** Equal lists are one, so that an exporter encodes it once. */
  readonly #lists = new Map<string, readonly string[]>();

  /** There are no policies, and were none that a flow could have met. */
  get isEmpty(): boolean {
    return this.#realms.size === 0;
  }

  /** An object has come, or is another now. */
  changed({ stored, before, policy, startMs, nowMs }: Change): void {
    const { kind, object } = stored;
    const sinceMs = Math.min(startMs + SECOND_MS, nowMs);
    if (kind === "NetworkPolicy") this.#setPolicy(object, policy, sinceMs);
    else if (kind === "Namespace") this.#setNamespace(object.metadata.name, object, sinceMs);
    else if (kind === "Pod" && before && !isSame(before.metadata.labels, object.metadata.labels)) {
      const versions = versionsOf(this.#pods, stored);
      if (!versions.now) versions.set(before, -Infinity);
      versions.set(object, nowMs);
    }
  }

  /** The object is gone; the next of its name may be there already. */
  gone({ kind, object }: Stored, nowMs: number): void {
    const { uid, name, namespace = "" } = object.metadata;
    if (kind === "NetworkPolicy") {
      const isLast = this.#realms.get(namespace)?.byName.get(name)?.now?.uid === uid;
      if (isLast) this.#setPolicy(object, undefined, nowMs);
    } else if (kind === "Namespace") {
      const isLast = this.#namespaces.get(name)?.now?.metadata.uid === uid;
      if (isLast) this.#setNamespace(name, undefined, nowMs);
    }
  }

  /** Forgets what was before `beforeMs`. */
  purge(beforeMs: number): void {
    for (const [namespace, realm] of this.#realms) {
      purgeAll(realm.byName, beforeMs);
      realm.views = realm.views.filter(({ untilMs }) => untilMs > beforeMs);
      if (realm.byName.size === 0) this.#realms.delete(namespace);
    }
    purgeAll(this.#namespaces, beforeMs);
    for (const [pod, versions] of this.#pods) {
      versions.purge(beforeMs);
      if (versions.at(beforeMs).untilMs === Infinity) this.#pods.delete(pod);
    }
  }

  /** Names of the policies that selected `own` and had a rule which allowed `peer`, in alphabetical order. */
  allowing(type: PolicyType, own: PolicyEnd, peer: PolicyEnd, transport: string, startMs: number): readonly string[] {
    const pod = this.#podAt(own, startMs);
    const realm = pod && this.#realms.get(pod.metadata.namespace ?? "");
    if (!realm) return NONE;
    const kept = keptOf(viewAt(realm, startMs), pod)[type];
    if (kept.policies.length === 0) return NONE;
    const peerPod = this.#podAt(peer, startMs);
    const keptPeer = this.#keptPeer(kept, peer.address, peerPod, startMs);
    const { port } = type === "ingress" ? own : peer;
    const place = placeOf(keptPeer.edges, port) * (TRANSPORTS.length + 1) + TRANSPORTS.indexOf(transport);
    for (let known = keptPeer.first; known; known = known.next) if (known.place === place) return known.names;
    const question = { type, pod, peer: peerPod, peerAddress: peer.address, port, transport, startMs };
    const names = this.#one(kept.policies.filter((policy) => this.#allows(policy, question)).map(({ name }) => name));
    keptPeer.first = { place, names, next: keptPeer.size++ % MAX_PLACES === 0 ? undefined : keptPeer.first };
    return names;
  }

  #allows({ rules }: Policy, question: Question): boolean {
    const { type, pod, peer, port, transport } = question;
    const called = type === "ingress" ? pod : peer;
    return rules[type]!.some(({ peers, ports }) =>
      (ports.length === 0 || ports.some((rule) => fitsPort(rule, called, port, transport))) &&
      (peers.length === 0 || peers.some((one) => this.#fitsPeer(one, question)))
    );
  }

  #fitsPeer({ network, except, pods, namespaces }: Peer, { pod, peer, peerAddress, startMs }: Question): boolean {
    if (network) {
      const address = addressBytes(peerAddress);
      return address !== undefined && network.contains(address) && !except.some((one) => one.contains(address));
    }
    if (!peer || (!pods && !namespaces)) return false;
    const { namespace = "", labels } = peer.metadata;
    const isNamespace = namespaces
      ? this.#fitsNamespace(namespaces, namespace, startMs)
      : namespace === pod.metadata.namespace;
    return isNamespace && (!pods || selects(pods, labels));
  }

  /** Of a namespace that is not known only an empty selector is sure. */
  #fitsNamespace(selector: LabelSelector, name: string, startMs: number): boolean {
    const namespace = this.#namespaces.get(name)?.at(startMs).value;
    return namespace ? selects(selector, namespace.metadata.labels) : isEmpty(selector);
  }

  #podAt({ pod }: PolicyEnd, startMs: number): KubernetesObject | undefined {
    if (!pod) return undefined;
    const object = (this.#pods.size > 0 && this.#pods.get(pod)?.at(startMs).value) || pod.object;
    return object.spec?.hostNetwork === true ? undefined : object;
  }

  #keptPeer({ policies, peers, edges }: Kept, address: string, pod: KubernetesObject | undefined, startMs: number) {
    const known = peers.get(address);
    if (known && known.pod === pod && holdsAt(known, startMs)) return known;
    if (peers.size >= MAX_PEERS) peers.clear();
    const namespace = this.#namespaces.get(pod?.metadata.namespace ?? "")?.at(startMs);
    const kept: KeptPeer = {
      pod,
      sinceMs: namespace?.sinceMs ?? -Infinity,
      untilMs: namespace?.untilMs ?? Infinity,
      edges: edges ?? edgesOf(policies, "egress", pod),
      first: undefined,
      size: 0,
    };
    peers.set(address, kept);
    return kept;
  }

  #setPolicy({ metadata: { name, namespace = "" } }: KubernetesObject, policy: Policy | undefined, sinceMs: number) {
    let realm = this.#realms.get(namespace);
    if (!realm) this.#realms.set(namespace, realm = { byName: new Map(), views: [] });
    versionsOf(realm.byName, name).set(policy, sinceMs);
    realm.views = [];
  }

  #setNamespace(name: string, namespace: KubernetesObject | undefined, sinceMs: number): void {
    versionsOf(this.#namespaces, name).set(namespace, sinceMs);
    for (const realm of this.#realms.values()) realm.views = [];
  }

  #one(names: readonly string[]): readonly string[] {
    if (names.length === 0) return NONE;
    const key = names.join();
    let list = this.#lists.get(key);
    if (list) return list;
    if (this.#lists.size >= MAX_LISTS) this.#lists.clear();
    this.#lists.set(key, list = names);
    return list;
  }
}

function versionsOf<K, T>(all: Map<K, Versions<T>>, key: K): Versions<T> {
  let versions = all.get(key);
  if (!versions) all.set(key, versions = new Versions());
  return versions;
}

function purgeAll<K, T>(all: Map<K, Versions<T>>, beforeMs: number): void {
  for (const [key, versions] of all) if (versions.purge(beforeMs)) all.delete(key);
}

function holdsAt({ sinceMs, untilMs }: { readonly sinceMs: number; readonly untilMs: number }, timeMs: number) {
  return sinceMs <= timeMs && timeMs < untilMs;
}

function viewAt(realm: Realm, timeMs: number): View {
  for (const view of realm.views) if (holdsAt(view, timeMs)) return view;
  const versions = [...realm.byName.values()].map((policy) => policy.at(timeMs));
  const view: View = {
    sinceMs: Math.max(...versions.map(({ sinceMs }) => sinceMs)),
    untilMs: Math.min(...versions.map(({ untilMs }) => untilMs)),
    policies: versions.flatMap(({ value }) => value ?? []).sort((a, b) => a.name < b.name ? -1 : 1),
    kept: new WeakMap(),
  };
  if (realm.views.length >= MAX_VIEWS) realm.views = [];
  realm.views.push(view);
  return view;
}

function keptOf({ kept, policies }: View, pod: KubernetesObject): Readonly<Record<PolicyType, Kept>> {
  let known = kept.get(pod);
  if (known) return known;
  const keptFor = (type: PolicyType): Kept => {
    const about = policies.filter((policy) => isAbout(policy, type, pod));
    const isByPeer = type === "egress" && hasNamedPorts(about, type);
    return { policies: about, peers: new Map(), edges: isByPeer ? undefined : edgesOf(about, type, pod) };
  };
  kept.set(pod, known = { ingress: keptFor("ingress"), egress: keptFor("egress") });
  return known;
}

/** How many of the edges are at the port or before it. */
function placeOf(edges: readonly number[], port: number): number {
  let place = 0;
  while (place < edges.length && edges[place] <= port) place++;
  return place;
}
