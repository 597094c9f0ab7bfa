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
  /** How many on each node. */
  readonly #waitingOn = new Map<string, number>();
  /** Ports that make a difference to anybody by themselves. */
  readonly #isTold = new Uint8Array(PORTS);
  /** Of each other port the first of those around it that are in the same ranges: they are all alike. */
  readonly #firstAlike = new Uint16Array(PORTS);
  #isPeerTold = false;
  /** Grows with each change of an object. */
  #turn = 0;

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
    if (isPod) this.#wait(stored, waitsOn(whole));
    for (const port of ports) this.#isTold[port] = 1;
    const turn = ++this.#turn;
    const added: AddressKey[] = [];
    // Most of what an object says it has said before, in other objects of JSON.
    let said: Terms | undefined, known: Terms | undefined, claim: Claim | undefined;
    for (const { key, terms } of drafts) {
      if (terms !== said) [said, known, claim] = [terms, undefined, undefined];
      const old = this.#ownAt(key, stored, terms, nowMs, turn);
      if (old) {
        const { terms: before } = old.claim;
        if (before !== known && isSameTerms(before, terms)) known = before;
        if (before !== known) this.#change(key, old, terms);
      } else if (!this.#has(key, stored)) added.push(key);
      claim ??= { startMs, terms: known ?? terms, end: NEVER };
      const entry = old ?? this.#add(stored, key, claim, nowMs);
      if (end) this.#limit(key, entry, end);
      entry.turn = turn;
    }
    this.#eachOf(stored, (key, entry) => {
      const isLeft = entry.turn !== turn && entry.claim.end.goneMs > nowMs;
      if (isLeft) this.#limit(key, entry, { sureMs: nowMs, goneMs: nowMs });
    });
    if (added.length > 0) stored.places = placesOf(new Set([...keysOf(stored.places), ...added]));
  }

  /** What is said of the object has changed. */
  changed(stored: Stored): void {
    this.#eachOf(stored, (key, { claim }) => this.#forgetAnswers(key, claim));
  }

  /** The object is gone. */
  end(stored: Stored, end: End): void {
    if (stored.kind === "Pod") this.#wait(stored, "");
    this.#eachOf(stored, (key, entry) => this.#limit(key, entry, end));
  }

  /** Forgets where objects were before `beforeMs`. */
  purge(beforeMs: number): void {
    for (const stored of this.#ended) {
      const places = new Set<AddressKey>();
      let isEnded = false;
      this.#eachOf(stored, (key, entry) => {
        const { goneMs } = entry.claim.end;
        if (goneMs < beforeMs) return this.#drop(key, entry);
        places.add(key);
        isEnded ||= goneMs !== Infinity;
      });
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
    return pod.kind === "Pod" && this.#waitingOn.has(String(childOf(pod.object.spec, "nodeName")));
  };

  /** The pod waits on `node`, or no more on any. */
  #wait(pod: Stored, node: string): void {
    const before = this.#waiting.get(pod) ?? "";
    if (before === node) return;
    if (before !== "") {
      const others = this.#waitingOn.get(before)! - 1;
      if (others === 0) this.#waitingOn.delete(before);
      else this.#waitingOn.set(before, others);
    }
    if (node === "") this.#waiting.delete(pod);
    else {
      this.#waiting.set(pod, node);
      this.#waitingOn.set(node, (this.#waitingOn.get(node) ?? 0) + 1);
    }
  }

  /** Each of the object's own entries, and where; `visit` may drop it. */
  #eachOf(stored: Stored, visit: (key: AddressKey, entry: Entry) => void): void {
    for (const key of keysOf(stored.places)) {
      for (let entry = this.#first.get(key); entry;) {
        const { next } = entry;
        if (entry.stored === stored) visit(key, entry);
        entry = next;
      }
    }
  }

  #has(key: AddressKey, stored: Stored): boolean {
    for (let entry = this.#first.get(key); entry; entry = entry.next) if (entry.stored === stored) return true;
    return false;
  }

  /** The object's own entry there that `terms` go on with, and that this turn has not had yet. */
  #ownAt(key: AddressKey, stored: Stored, terms: Terms, nowMs: number, turn: number): Entry | undefined {
    for (let entry = this.#first.get(key); entry; entry = entry.next) {
      if (entry.stored !== stored || entry.turn === turn || entry.claim.end.goneMs <= nowMs) continue;
      if (isSamePlace(entry, terms)) return entry;
    }
    return undefined;
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
    const entry: Entry = { stored, claim, turn: 0, next: network ? first : undefined };
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
