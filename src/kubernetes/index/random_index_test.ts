/** Random clusters and flows, judged by a slow and obvious reading of the rules. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { AddressIndex } from "./address_index.ts";
import { addressKey } from "../model/address_key.ts";
import type { EndQuery } from "./entry.ts";
import { defaultAttributes } from "../defaults.ts";
import type { Kind } from "../model/kinds.ts";
import { compileRules, joinRules } from "./rules.ts";
import { type Direction, SIDES, type Stored } from "../model/stored.ts";
import { generator, object } from "../testing.ts";

const ROUNDS = 1000;
const STEPS = 12;
const LOOKUPS = 15;
const NEVER = Infinity;
/** Objects come so late, at most. */
const UNCERTAIN_MS = 500;

/** What the judge knows of an object. */
interface Truth {
  readonly stored: Stored;
  readonly startMs: number;
  readonly places: Place[];
}

/** At an address: whether it is the node's, the ports, of which none means any, and the end there. */
interface Place {
  readonly ip: string;
  readonly isShared: boolean;
  readonly ports: readonly { port: number; transport: string }[];
  sureMs: number;
  goneMs: number;
  isUnseen: boolean;
}

const PORTS = [53, 80, 81];
/** In a range that begins at one of them, or beyond it. */
const NEAR = [54, 73, 74, 82, 100, 101, 102];
const TRANSPORTS = ["tcp", "udp"];
const NODES = ["10.1.0.1", "10.1.0.2"];
const IPS = ["10.0.0.1", "10.0.0.2", "10.0.0.3", ...NODES];

function oneOf<T>(list: readonly T[], random: (below: number) => number): T {
  return list[random(list.length)];
}

function randomPorts(random: (below: number) => number) {
  return PORTS.filter(() => random(2) === 0).map((port) => ({ port, transport: TRANSPORTS[random(2)] }));
}

/** One pod: plain, with ports of its node, or in its network. */
function randomPod(name: string, startMs: number, random: (below: number) => number): Truth {
  const isHost = random(4) === 0;
  const hostIP = NODES[random(NODES.length)];
  const ip = isHost ? hostIP : IPS[random(3)];
  const ports = randomPorts(random);
  const hasHostPorts = isHost || random(3) === 0;
  const container = {
    name: "c",
    ports: ports.map(({ port, transport }) => ({
      containerPort: port,
      protocol: transport.toUpperCase(),
      ...(hasHostPorts ? { hostPort: port } : {}),
    })),
  };
  const whole = object({
    name,
    spec: { hostNetwork: isHost, containers: [container] },
    status: { podIP: ip, podIPs: [{ ip }], hostIP },
  });
  const places = [
    ...(isHost ? [] : [{ ip, isShared: false, ports: [] }]),
    ...(hasHostPorts && ports.length > 0 ? [{ ip: hostIP, isShared: true, ports }] : []),
  ];
  return truth("Pod", whole, startMs, places);
}

function randomService(name: string, startMs: number, random: (below: number) => number): Truth {
  const ip = IPS[random(IPS.length)];
  const ports = randomPorts(random);
  const spec = {
    clusterIP: ip,
    ports: ports.map(({ port, transport }) => ({ port, protocol: transport.toUpperCase() })),
  };
  return truth("Service", object({ name, uid: `service-${name}`, spec }), startMs, [{ ip, isShared: false, ports }]);
}

function truth(
  kind: Kind,
  whole: ReturnType<typeof object>,
  startMs: number,
  places: Omit<Place, "sureMs" | "goneMs" | "isUnseen">[],
): Truth {
  const stored: Stored = { kind, uid: whole.metadata.uid, object: whole, goneMs: NEVER };
  return {
    stored,
    startMs,
    places: places.map((place) => ({ ...place, sureMs: NEVER, goneMs: NEVER, isUnseen: false })),
  };
}

/** Who had the address, by trying everybody. */
function judge(all: readonly Truth[], kind: Kind, query: EndQuery): Stored | undefined {
  const had = (fromMs: number, toMs: number) =>
    all.filter(({ stored, startMs }) => stored.kind === kind && startMs <= toMs).flatMap((
      { stored, startMs, places },
    ) =>
      places.filter(({ ip, isShared, ports, goneMs }) => {
        if (ip !== query.address || fromMs >= goneMs) return false;
        const fits = ports.some(({ port, transport }) => port === query.port && transport === query.transport);
        return isShared ? fits : ports.length === 0 || query.port < 0 || fits;
      }).map((place) => ({ stored, startMs, ...place }))
    );
  const possible = had(query.startMs, query.startMs);
  if (possible.length === 0) return undefined;
  if (kind !== "Pod" && possible.length > 1) return undefined;
  const first = possible.reduce((a, b) => b.startMs < a.startMs ? b : a);
  if (possible.length > 1 && query.startMs >= first.sureMs) return undefined;
  if (first.isUnseen && query.endMs >= first.sureMs) return undefined;
  // Packets may be of any that had the address at any time of the window; but a pod that surely has it has it alone.
  const unsureMs = kind === "Pod" ? Math.max(query.startMs, first.sureMs) : query.startMs;
  const isShared = query.endMs >= unsureMs && had(unsureMs, query.endMs).some(({ stored }) => stored !== first.stored);
  return isShared ? undefined : first.stored;
}

function randomPolicy(name: string, startMs: number, random: (below: number) => number): Truth {
  const cidr = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/30", "10.1.0.1/32"][random(4)];
  const ports = randomPorts(random).map(({ port, transport }) => ({
    port,
    protocol: transport.toUpperCase(),
    ...[{}, { endPort: port }, { endPort: port + 20 }, { endPort: 65_535 }][random(4)],
  }));
  const from = [{ ipBlock: { cidr, except: random(2) ? ["10.0.0.2/32"] : [] } }];
  return truth(
    "NetworkPolicy",
    object({ name, uid: `policy-${name}`, spec: { ingress: [{ from, ports }] } }),
    startMs,
    [],
  );
}

function randomQuery(nowMs: number, random: (below: number) => number): EndQuery {
  const startMs = random(2) === 0 ? nowMs + random(1000) : random(nowMs);
  const address = IPS[random(IPS.length)];
  return {
    address,
    key: addressKey(address),
    side: random(3) === 0 ? SIDES.source : SIDES.destination,
    port: oneOf([-1, 40_000, ...NEAR, ...PORTS], random),
    peerPort: oneOf([-1, 40_001, ...NEAR, ...PORTS], random),
    transport: TRANSPORTS[random(2)],
    networkType: "ipv4",
    startMs,
    endMs: startMs + random(800),
  };
}

/** Who is there, and whether the container at the port can be told. */
function answerOf(found: readonly Stored[], { port, transport }: EndQuery): string {
  return found.map(({ uid, object: { spec } }) => {
    const ports = (spec as { containers?: { ports: { containerPort: number; protocol: string }[] }[] }).containers?.[0]
      .ports;
    return `${uid} ${ports?.some((one) => one.containerPort === port && one.protocol.toLowerCase() === transport)}`;
  }).join();
}

/** What was said of such an end before; `undefined` when that is kept only now, or may not be. */
function keptAnswer(index: AddressIndex, query: EndQuery, found: readonly Stored[]): string | undefined {
  const answers = index.answersFor(query);
  const known = answers?.get(index.keyOf(query), 0);
  if (!known) {
    answers?.add(index.keyOf(query), 0, {
      found,
      facts: { attributes: [["", answerOf(found, query)]], pod: undefined },
      joined: undefined,
    });
  }
  return known?.facts && [...known.facts.attributes][0][1];
}

Deno.test("AddressIndex.find() agrees with the judge on random clusters, and kept answers with it", () => {
  let [found, kept] = [0, 0];
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = generator(seed);
    const rules = (direction: Direction) => compileRules(direction, defaultAttributes(direction).association);
    const index = new AddressIndex(joinRules(rules("source"), rules("destination")));
    const all: Truth[] = [];
    let nowMs = 1000;
    let purgedMs = 0;
    for (let step = 0; step < STEPS; step++) {
      nowMs += 1 + random(1000);
      change(index, all, nowMs, step, random);
      if (random(4) === 0) index.purge(purgedMs = Math.max(purgedMs, nowMs - UNCERTAIN_MS - random(2000)));
      for (let i = 0; i < LOOKUPS; i++) {
        const query = randomQuery(nowMs, random);
        if (query.startMs < purgedMs) continue;
        const expected = (["Pod", "Service"] as const).map((kind) => judge(all, kind, query)?.uid).filter((uid) => uid);
        const actual = index.find(query);
        const message = `seed ${seed}, step ${step}: ${JSON.stringify(query)}`;
        const judged = actual.filter(({ kind }) => kind !== "NetworkPolicy").toSorted((a, b) =>
          a.kind < b.kind ? -1 : 1
        );
        deepStrictEqual(judged.map(({ uid }) => uid), expected, message);
        const known = keptAnswer(index, query, actual);
        if (known !== undefined) strictEqual(known, answerOf(actual, query), message);
        found += expected.length;
        kept += known ? 1 : 0;
      }
    }
    for (const { stored } of all) index.end(stored, { sureMs: nowMs, goneMs: nowMs });
    index.purge(Infinity);
    strictEqual(index.size, 0, "something is never forgotten");
  }
  ok(found > ROUNDS && kept > ROUNDS, "the clusters are too empty to tell anything");
});

/** Something comes or goes. */
function change(
  index: AddressIndex,
  all: Truth[],
  nowMs: number,
  step: number,
  random: (below: number) => number,
): void {
  const living = all.filter(({ stored }) => stored.goneMs === NEVER);
  if (living.length > 3 || (living.length > 0 && random(3) === 0)) {
    const one = living[random(living.length)];
    const isUnseen = random(3) === 0;
    const end = { sureMs: Math.max(one.startMs, nowMs - random(1500)), goneMs: nowMs, isUnseen };
    one.stored.goneMs = nowMs;
    for (const place of one.places) {
      limit(place, end.sureMs, end.goneMs);
      place.isUnseen = isUnseen;
    }
    index.end(one.stored, end);
    return;
  }
  // Of pods with an address of their own, a new one starts at a known time that nobody else has.
  const startMs = nowMs - random(UNCERTAIN_MS) + step / 100;
  const make = [randomService, randomPolicy, randomPod, randomPod][random(4)];
  const made = make(`${step}`, startMs, random);
  supersede(all, made, nowMs);
  all.push(made);
  index.put(made.stored, made.stored.object, startMs, nowMs);
}

/** A pod that claims an address ends the claim of an older one, whose end was missed. */
function supersede(all: readonly Truth[], made: Truth, nowMs: number): void {
  const own = soleOf(made);
  if (!own) return;
  for (const other of all) {
    const sole = soleOf(other);
    if (!sole || sole.ip !== own.ip) continue;
    if (other.startMs <= made.startMs) {
      if (sole.goneMs > made.startMs) limit(sole, made.startMs, nowMs);
    } else if (own.goneMs > other.startMs) limit(own, other.startMs, nowMs);
  }
}

function soleOf({ stored, places }: Truth): Place | undefined {
  return stored.kind === "Pod" ? places.find(({ isShared }) => !isShared) : undefined;
}

function limit(place: Place, sureMs: number, goneMs: number): void {
  place.sureMs = Math.min(place.sureMs, sureMs);
  place.goneMs = Math.min(place.goneMs, Math.max(goneMs, place.sureMs));
}
