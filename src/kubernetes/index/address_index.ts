/** Which objects had an address, and a port of it, at some time. */

import { type AddressKey, addressKey, keysOf, placesOf } from "../model/address_key.ts";
import { Answers } from "./answers.ts";
import { addressBytes } from "../model/cidr.ts";
import { type Claim, type EndQuery, type Entry, findIn, fits, isAlive, isLost, isSolePod, NO_PORT } from "./entry.ts";
import type { Kind } from "../model/kinds.ts";
import { type End, waitsOn } from "./lifetime.ts";
import { childOf, isSame, type KubernetesObject } from "../model/object.ts";
import type { Rule } from "./rules.ts";
import type { Stored } from "../model/stored.ts";
import { declaredPorts, draftsOf, type Terms } from "./terms.ts";

const PORTS = 65_536;
/** Each by itself, each as the first of those that are alike, and no port. */
const PORT_CLASSES = 2 * PORTS + 1;
const NONE: readonly Stored[] = [];
const NEVER: End = { sureMs: Infinity, goneMs: Infinity };
/** So many addresses that nobody in the cluster has are remembered, where there are networks to look through. */
const STRANGERS = 4096;

/**
 * An object is found when its address, port, protocol and family fit. What cannot be told is not guessed: of two objects of
 * one kind that fit, none is found.
 */
export class AddressIndex {
  readonly #rules: ReadonlyMap<Kind, readonly Rule[]>;
  /** The first entry at each address; of a network, by its text. */
  readonly #first = new Map<AddressKey, Entry>();
  /** Entries of networks, the longest prefix first. */
  #networks: Entry[] = [];
  /** Objects that had addresses which they have no more. */
  readonly #ended = new Set<Stored>();
  /** Answers for addresses that objects have. */
  readonly #answers = new Map<AddressKey, Answers>();
  /** Answers for addresses that only networks hold. */
  readonly #strangers = new Map<AddressKey, Answers>();
  /** Since then no network has come or gone. */
  #networksSettledMs = 0;
  /** Pods that have no address yet, as far as is known, with their nodes. */
  readonly #waiting = new Map<Stored, string>();
  /** Ports that make a difference to anybody by themselves. */
  readonly #isTold = new Uint8Array(PORTS);
  /** Of each other port the first of those around it that are in the same ranges: they are all alike. */
  readonly #firstAlike = new Uint16Array(PORTS);
  #isPeerTold = false;

  constructor(rules: readonly Rule[]) {
    this.#rules = Map.groupBy(rules, ({ kind }) => kind);
  }

  /** Addresses and networks that are known. */
  get size(): number {
    return this.#first.size;
  }

  /** The object is there, or has changed; it has the addresses of `whole` since `startMs`, until `end` if that is known. */
  put(stored: Stored, whole: KubernetesObject, startMs: number, nowMs: number, end?: End): void {
    const isPod = stored.kind === "Pod";
    // All that is read from the object, which may have an impossible shape, before anything is changed.
    const drafts = (this.#rules.get(stored.kind) ?? []).flatMap((rule) => draftsOf(rule, whole));
    const ports = isPod ? declaredPorts(whole) : [];
    const node = isPod ? waitsOn(whole) : "";
    if (node !== "") this.#waiting.set(stored, node);
    else if (isPod) this.#waiting.delete(stored);
    for (const port of ports) this.#isTold[port] = 1;
    const before = this.#entriesOf(stored);
    const kept = new Set<Entry>();
    const claims = new Map<Terms, Claim>();
    for (const { key, terms } of drafts) {
      const old = before.get(key)
        ?.find((entry) => entry.claim.end.goneMs > nowMs && isSamePlace(entry, terms) && !kept.has(entry));
      const claim = claims.get(terms) ?? { startMs, terms, end: NEVER };
      claims.set(terms, claim);
      const entry = old ?? this.#add(stored, key, claim, nowMs);
      if (old && !isSameTerms(old.claim.terms, terms)) this.#change(key, old, terms);
      if (end) this.#limit(key, entry, end);
      kept.add(entry);
    }
    for (const [key, entries] of before) {
      for (const entry of entries) if (!kept.has(entry)) this.#limit(key, entry, { sureMs: nowMs, goneMs: nowMs });
    }
    stored.places = placesOf(new Set([...before.keys(), ...drafts.map(({ key }) => key)]));
  }

  /** What is said of the object has changed. */
  changed(stored: Stored): void {
    for (const [key, entries] of this.#entriesOf(stored)) {
      for (const { claim } of entries) this.#forgetAnswers(key, claim);
    }
  }

  /** The object is gone. */
  end(stored: Stored, end: End): void {
    this.#waiting.delete(stored);
    for (const [key, entries] of this.#entriesOf(stored)) for (const entry of entries) this.#limit(key, entry, end);
  }

  /** Forgets where objects were before `beforeMs`. */
  purge(beforeMs: number): void {
    for (const stored of this.#ended) {
      const places = new Set<AddressKey>();
      let isEnded = false;
      for (const [key, entries] of this.#entriesOf(stored)) {
        for (const entry of entries) {
          const { goneMs } = entry.claim.end;
          if (goneMs < beforeMs) {
            this.#drop(key, entry);
            continue;
          }
          places.add(key);
          isEnded ||= goneMs !== Infinity;
        }
      }
      stored.places = placesOf(places);
      if (!isEnded) this.#ended.delete(stored);
    }
  }

  /** The objects at one end of a flow, at most one of each kind. */
  find(query: EndQuery): readonly Stored[] {
    const first = this.#first.get(query.key);
    if (!first && this.#networks.length === 0) return NONE;
    const found: Stored[] = [];
    if (first) findIn(first, query, found, this.#isWaitedFor);
    if (this.#networks.length > 0) this.#findNetwork(query, found);
    return found;
  }

  /**
   * Where answers for this end are kept, good for all ends of the same {@linkcode keyOf}; `undefined` when its time matters, or
   * when nobody can be there.
   */
  answersFor({ key, startMs }: EndQuery): Answers | undefined {
    if (startMs < this.#networksSettledMs) return undefined;
    let answers = this.#answers.get(key) ?? this.#strangers.get(key);
    if (!answers) {
      const first = this.#first.get(key);
      if (!first && this.#networks.length === 0) return undefined;
      answers = new Answers(settledMs(first));
      if (first) this.#answers.set(key, answers);
      else this.#remember(key, answers);
    }
    return startMs < answers.settledMs ? undefined : answers;
  }

  /** Ends at one address with the same number have the same objects and containers. */
  keyOf({ side, port, peerPort, transport }: EndQuery): number {
    const peer = this.#isPeerTold ? this.#portClass(peerPort) : 0;
    return ((peer * PORT_CLASSES + this.#portClass(port)) * 4 + transportClass(transport)) * 4 + side;
  }

  /** The pod that has `address` to itself now. */
  podAt(address: string, nowMs: number): Stored | undefined {
    let found: Stored | undefined;
    for (let entry = this.#first.get(addressKey(address)); entry; entry = entry.next) {
      if (isSolePod(entry) && isAlive(entry, nowMs)) found = entry.stored;
    }
    return found;
  }

  /** Whether another pod on the node of this one has no address yet: it may have got this one's already. */
  readonly #isWaitedFor = (pod: Stored): boolean => {
    if (pod.kind !== "Pod") return false;
    const node = childOf(pod.object.spec, "nodeName");
    for (const other of this.#waiting.values()) if (other === node) return true;
    return false;
  };

  /** The object's own entries, at each of its places. */
  #entriesOf(stored: Stored): Map<AddressKey, Entry[]> {
    const all = new Map<AddressKey, Entry[]>();
    for (const key of keysOf(stored.places)) {
      const own: Entry[] = [];
      for (let entry = this.#first.get(key); entry; entry = entry.next) if (entry.stored === stored) own.push(entry);
      all.set(key, own);
    }
    return all;
  }

  #portClass(port: number): number {
    if (port === NO_PORT) return 2 * PORTS;
    return this.#isTold[port] ? port : PORTS + this.#firstAlike[port];
  }

  #remember(stranger: AddressKey, answers: Answers): void {
    if (this.#strangers.size >= STRANGERS) this.#strangers.clear();
    this.#strangers.set(stranger, answers);
  }

  #forgetAnswers(key: AddressKey, claim: Claim): void {
    this.#answers.delete(key);
    this.#strangers.delete(key);
    if (!claim.terms.network) return;
    // All answers may depend on it.
    this.#answers.clear();
    this.#strangers.clear();
    this.#networksSettledMs = Math.max(this.#networksSettledMs, settlesMs(claim));
  }

  #change(key: AddressKey, entry: Entry, terms: Terms): void {
    entry.claim = { ...entry.claim, terms };
    this.#mark(terms);
    this.#forgetAnswers(key, entry.claim);
  }

  #mark({ ports, isPeerPort }: Terms): void {
    if (isPeerPort && ports.length > 0) this.#isPeerTold = true;
    for (const { first, last } of ports) {
      if (first === last) this.#isTold[first] = 1;
      else if (first < last) { for (const edge of [first, last + 1]) this.#divideAt(edge); }
    }
  }

  /** Ports from there on are not like those before. */
  #divideAt(edge: number): void {
    const before = this.#firstAlike[edge];
    for (let port = edge; port < PORTS && this.#firstAlike[port] === before; port++) this.#firstAlike[port] = edge;
  }

  #findNetwork(query: EndQuery, found: Stored[]): void {
    const address = addressBytes(query.address);
    if (!address) return;
    let best: Entry | undefined;
    for (const entry of this.#networks) {
      const { network, except } = entry.claim.terms;
      if (best && network!.bits < best.claim.terms.network!.bits) break;
      if (!network!.contains(address) || !isAlive(entry, query.startMs) || !fits(entry, query)) continue;
      if (except.some((exception) => exception.contains(address))) continue;
      if (best && best.stored !== entry.stored) return;
      best = entry;
    }
    if (best && !isLost(best, query)) found.push(best.stored);
  }

  #add(stored: Stored, key: AddressKey, claim: Claim, nowMs: number): Entry {
    const first = this.#first.get(key);
    const { network } = claim.terms;
    // Thousands of policies may name one network; their order makes no difference.
    const entry: Entry = { stored, claim, next: network ? first : undefined };
    if (network) {
      const shorter = this.#networks.findIndex((other) => other.claim.terms.network!.bits < network.bits);
      this.#networks.splice(shorter < 0 ? this.#networks.length : shorter, 0, entry);
    } else if (isSolePod(entry)) {
      for (let other = first; other; other = other.next) this.#supersede(key, entry, other, nowMs);
    }
    if (first && !network) lastOf(first).next = entry;
    else this.#first.set(key, entry);
    this.#mark(claim.terms);
    this.#forgetAnswers(key, claim);
    return entry;
  }

  #drop(key: AddressKey, entry: Entry): void {
    if (entry.claim.terms.network) this.#networks = this.#networks.filter((other) => other !== entry);
    const first = this.#first.get(key);
    if (first !== entry) {
      for (let other = first; other; other = other.next) if (other.next === entry) other.next = entry.next;
    } else if (entry.next) this.#first.set(key, entry.next);
    else this.#first.delete(key);
    this.#forgetAnswers(key, entry.claim);
  }

  /** Two pods that had one address at once: the end of the older one was missed, seen late, or is still to come. */
  #supersede(key: AddressKey, entry: Entry, other: Entry, nowMs: number): void {
    if (other.stored === entry.stored || !isSolePod(other)) return;
    const [older, newer] = other.claim.startMs <= entry.claim.startMs ? [other, entry] : [entry, other];
    if (older.claim.end.goneMs <= newer.claim.startMs) return;
    this.#limit(key, older, { sureMs: newer.claim.startMs, goneMs: nowMs });
  }

  /** An end only ever moves forward in what is known: nothing lives again. */
  #limit(key: AddressKey, entry: Entry, end: End): void {
    const { claim } = entry;
    const known = claim.end.isAsked ? NEVER : claim.end;
    if (end.isAsked && known !== NEVER) return;
    const sureMs = Math.min(known.sureMs, end.sureMs);
    const goneMs = Math.min(known.goneMs, Math.max(end.goneMs, sureMs));
    const limited = end.isAsked ? end : { sureMs, goneMs, isUnseen: known.isUnseen || end.isUnseen };
    entry.claim = { ...claim, end: limited };
    if (limited.goneMs !== Infinity) this.#ended.add(entry.stored);
    this.#forgetAnswers(key, entry.claim);
  }
}

function lastOf(entry: Entry): Entry {
  while (entry.next) entry = entry.next;
  return entry;
}

function transportClass(transport: string): number {
  return transport === "tcp" ? 0 : transport === "udp" ? 1 : transport === "sctp" ? 2 : 3;
}

/** From then on the time makes no difference to this claim. */
function settlesMs({ startMs, end: { sureMs, goneMs, isAsked } }: Claim): number {
  if (isAsked) return Infinity;
  return Math.max(startMs, ...[sureMs, goneMs].filter(Number.isFinite));
}

function settledMs(first: Entry | undefined): number {
  let latestMs = 0;
  for (let entry = first; entry; entry = entry.next) latestMs = Math.max(latestMs, settlesMs(entry.claim));
  return latestMs;
}

/** Policies may name a network twice, with other ports. */
function isSamePlace({ claim: { terms } }: Entry, other: Terms): boolean {
  return terms.sides === other.sides && terms.isShared === other.isShared &&
    (terms.network === undefined || isSame(terms.ports, other.ports));
}

function isSameTerms(a: Terms, b: Terms): boolean {
  return a === b || (isSame(a.ports, b.ports) && isSame(a.families, b.families) && isSame(a.except, b.except));
}
