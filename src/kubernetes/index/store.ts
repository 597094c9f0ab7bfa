/** The copy of the cluster: objects by uid, and by the addresses they had. */

import type { AddressIndex } from "./address_index.ts";
import type { Kind } from "../model/kinds.ts";
import { deletedPodEnd, type End, podEnd, podStartMs } from "./lifetime.ts";
import { cut, isSame, type Json, type KubernetesObject, type Mask } from "../model/object.ts";
import { Pool } from "./pool.ts";
import type { Policies } from "../policies/policies.ts";
import { policyOf } from "../policies/policy.ts";
import { isNamespaced } from "../model/selection.ts";
import type { Objects, Stored } from "../model/stored.ts";
import { StoredPod } from "./stored_pod.ts";

export interface StoreOptions {
  /** What is kept of objects. */
  readonly masks: ReadonlyMap<Kind, Mask>;
  /** Takes the addresses from whole objects. */
  readonly index: AddressIndex;
  readonly policies: Policies;
  /** Kinds that select other objects: their changes change what is said about those. */
  readonly selecting: ReadonlySet<Kind>;
  /** Flows are looked up so long after their first packet, at most. */
  readonly retainMs: number;
  readonly now?: () => number;
}

/** So many owners that were asked for in vain are remembered; with more, everything is said anew, and asked for again. */
const MISSING = 10_000;

/** Objects that are gone stay for a while: flows of their time are still to come. */
export class Store implements Objects {
  readonly #options: StoreOptions;
  readonly #now: () => number;
  readonly #byUid = new Map<string, Stored>();
  /** Those of them that are not there any more. */
  readonly #gone = new Set<Stored>();
  readonly #pool = new Pool();
  readonly #counts = new Map<Kind, number>();
  /** Nodes and namespaces that are there, by kind and name. */
  readonly #named = new Map<string, Stored>();
  readonly #selecting = new Map<Kind, Set<Stored>>();
  /** Uids of owners, and kinds with names, that were asked for and are not known yet. */
  readonly #missing = new Set<string>();
  /** Grows whenever something may have to be said anew about any object. */
  epoch = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  ownerByUid(uid: string): Stored | undefined {
    const owner = this.#byUid.get(uid);
    if (!owner) this.#miss(uid);
    return owner;
  }

  named(kind: "Node" | "Namespace", name: string): Stored | undefined {
    const key = `${kind} ${name}`;
    const named = this.#named.get(key);
    if (!named) this.#miss(key);
    return named;
  }

  selecting(kind: Kind): Iterable<Stored> {
    return this.#selecting.get(kind) ?? [];
  }

  count(kind: Kind): number {
    return this.#counts.get(kind) ?? 0;
  }

  /** @throws {TypeError} for an object of an impossible shape, and nothing has changed */
  put(kind: Kind, whole: KubernetesObject): void {
    const { index, masks, policies, selecting } = this.#options;
    const nowMs = this.#now();
    const object = cut(whole as unknown as Json, masks.get(kind) ?? {}) as unknown as KubernetesObject;
    const { uid } = object.metadata;
    const known = this.#byUid.get(uid);
    const isPod = kind === "Pod";
    const stored = known ?? (isPod ? new StoredPod(uid) : newStored(kind, object));
    const startMs = isPod ? podStartMs(whole) : known ? nowMs : Date.parse(whole.metadata.creationTimestamp ?? "") || 0;
    // All that cannot be read fails before anything is changed.
    const policy = kind === "NetworkPolicy" ? policyOf(object) : undefined;
    index.put(stored, whole, startMs, nowMs, isPod ? podEnd(whole, nowMs) : undefined);
    const isBack = known !== undefined && known.goneMs !== Infinity;
    const isRelabelled = known instanceof StoredPod && !isSame(known.labels, object.metadata.labels);
    const before = isRelabelled ? known.object : undefined;
    if (!this.#take(stored, object) && !isBack) return;
    stored.goneMs = Infinity;
    this.#gone.delete(stored);
    stored.said = undefined;
    // Others speak of it: as what selects them, is at one address with them, or owns them, if they have asked for it, or for
    // the last of that name. At its own addresses a pod speaks first.
    const name = nameOf(kind, object);
    const isMissed = this.#missing.delete(uid) || this.#missing.delete(name) || (!known && this.#named.has(name));
    if (!known || isBack) this.#add(stored, name);
    if (selecting.has(kind) || (known && !isPod) || isMissed) this.epoch++;
    index.changed(stored);
    // Of pods they ask for nothing else, and most pods need not be put together.
    if (!isPod || before) policies.changed({ stored, before, policy, startMs, nowMs });
  }

  /** `last` is its last state, if it was seen to go; else it was there for sure at `sureMs`. */
  remove(uid: string, last: KubernetesObject | undefined, sureMs: number): void {
    const nowMs = this.#now();
    const stored = this.#byUid.get(uid);
    if (!stored || stored.goneMs !== Infinity) return;
    stored.goneMs = nowMs;
    this.#gone.add(stored);
    this.#count(stored.kind, -1);
    this.#selecting.get(stored.kind)?.delete(stored);
    if (!isNamespaced(stored.kind)) this.#removeName(stored);
    this.#options.index.end(stored, endOf(stored, last, sureMs, nowMs));
    if (stored.kind !== "Pod") this.#options.policies.gone(stored, nowMs);
    // What is said about other objects stays as it is for now: they were its own, at the time of the flows to come.
  }

  /** Forgets what has been gone for long enough; returns how many objects. */
  purge(): number {
    const beforeMs = this.#now() - this.#options.retainMs;
    this.#options.index.purge(beforeMs);
    let purged = 0;
    for (const stored of this.#gone) {
      if (stored.goneMs >= beforeMs) continue;
      this.#gone.delete(stored);
      this.#byUid.delete(stored.uid);
      if (this.#options.selecting.has(stored.kind)) this.epoch++;
      purged++;
    }
    this.#options.policies.purge(beforeMs);
    return purged;
  }

  /** Returns whether the object is another than before. */
  #take(stored: Stored, object: KubernetesObject): boolean {
    // Services and policies are few, and no two of them are alike.
    if (stored instanceof StoredPod) return stored.take(object, this.#pool);
    if (this.#byUid.has(stored.uid) && isSame(stored.object, object)) return false;
    stored.object = object;
    return true;
  }

  #add(stored: Stored, name: string): void {
    const { kind, uid } = stored;
    this.#byUid.set(uid, stored);
    this.#count(kind, 1);
    if (!isNamespaced(kind)) this.#named.set(name, stored);
    if (!this.#options.selecting.has(kind)) return;
    const others = this.#selecting.get(kind);
    if (others) others.add(stored);
    else this.#selecting.set(kind, new Set([stored]));
  }

  /** The next of that name may be there already. */
  #removeName(stored: Stored): void {
    const name = nameOf(stored.kind, stored.object);
    if (this.#named.get(name) !== stored) return;
    this.#named.delete(name);
    this.#miss(name);
  }

  #count(kind: Kind, change: 1 | -1): void {
    this.#counts.set(kind, this.count(kind) + change);
  }

  #miss(key: string): void {
    if (this.#missing.size >= MISSING && !this.#missing.has(key)) {
      this.#missing.clear();
      this.epoch++;
    }
    this.#missing.add(key);
  }
}

function newStored(kind: Kind, object: KubernetesObject): Stored {
  return { kind, uid: object.metadata.uid, object, goneMs: Infinity, places: undefined, said: undefined };
}

function nameOf(kind: Kind, { metadata }: KubernetesObject): string {
  return `${kind} ${metadata.name}`;
}

function endOf({ kind }: Stored, last: KubernetesObject | undefined, sureMs: number, nowMs: number): End {
  if (!last) return { sureMs: Math.min(sureMs, nowMs), goneMs: nowMs, isUnseen: true };
  return kind === "Pod" ? deletedPodEnd(last, nowMs) : { sureMs: nowMs, goneMs: nowMs };
}
