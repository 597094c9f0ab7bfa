/** How objects are recognised in a flow: the associations of the configuration, ready for use. */

import { type Kind, kindOf } from "../model/kinds.ts";
import { parsePath, type Path } from "../model/object.ts";
import { type Direction, SIDES } from "../model/stored.ts";

/** One item of `sources`: a field of the flow, and the fields of the object that may equal it. */
export interface AssociationSource {
  readonly from: string;
  readonly to: readonly string[];
}

/** Associations by kind, as the configuration has them: `pod: { sources }`. */
export type Associations = Readonly<Record<string, { readonly sources: readonly AssociationSource[] }>>;

/** Where a port is found, its protocol and `endPort` standing beside it. */
export interface PortPlace {
  /** What has the fields. */
  readonly parent: Path;
  readonly field: string;
  /** The field of the protocol, where one is associated. */
  readonly transport: string | undefined;
}

/** Where addresses are found, and the ports that go with them. */
export interface Place {
  /** Items of a list in which addresses and ports belong together; empty means the object itself. */
  readonly items: Path;
  /** Of networks, from there: what has a network and its exceptions, such as an `ipBlock`. */
  readonly block: Path | undefined;
  /** From the block, else from the item. */
  readonly address: Path;
  /** From the item; none means any port. */
  readonly ports: readonly PortPlace[];
}

/** The association of one kind. */
export interface Rule {
  readonly kind: Kind;
  /** Sum of the {@linkcode SIDES} for which it holds. */
  readonly sides: number;
  readonly places: readonly Place[];
  readonly families: readonly Path[];
  /** The port is that of the other end, as in a network policy. */
  readonly isPeerPort: boolean;
}

/** The rules of one direction. Kinds without a source for the address are never recognised and are left out. */
export function compileRules(direction: Direction, associations: Associations): Rule[] {
  return Object.entries(associations).flatMap(([word, { sources }]) => {
    const kind = kindOf(word);
    if (kind === undefined) throw new TypeError(`Cannot associate "${word}": no such kind`);
    const pathsOf = (...fields: string[]) =>
      sources.filter(({ from }) => fields.includes(from))
        .flatMap(({ to }) => to.map(parsePath));
    const peer = direction === "source" ? "destination" : "source";
    const addresses = pathsOf(`${direction}.ip`);
    const ownPorts = pathsOf(`${direction}.port`);
    const peerPorts = pathsOf(`${peer}.port`);
    const rule = {
      kind,
      sides: SIDES[direction],
      places: placesOf(addresses, ownPorts.length > 0 ? ownPorts : peerPorts, pathsOf("network.transport")),
      families: pathsOf("network.type"),
      isPeerPort: ownPorts.length === 0 && peerPorts.length > 0,
    };
    return addresses.length === 0 ? [] : [rule];
  });
}

/** The rules of both directions; most are the same, and become one. */
export function joinRules(source: readonly Rule[], destination: readonly Rule[]): Rule[] {
  const same = (rule: Rule) => destination.find((other) => isSameRule(rule, other));
  return [
    ...source.map((rule) => ({ ...rule, sides: rule.sides | (same(rule)?.sides ?? 0) })),
    ...destination.filter((other) => !source.some((rule) => isSameRule(rule, other))),
  ];
}

function isSameRule(a: Rule, b: Rule): boolean {
  return JSON.stringify({ ...a, sides: 0 }) === JSON.stringify({ ...b, sides: 0 });
}

/**
 * Addresses and ports that stand in the same item of a list belong together, as in `subsets[*].addresses[*].ip` and
 * `subsets[*].ports[*].port`; others are combined freely.
 */
function placesOf(addresses: readonly Path[], ports: readonly Path[], transports: readonly Path[]): Place[] {
  return addresses.map((address) => {
    const list = address.findIndex(({ all }) => all);
    const within = list < 0 ? [] : ports.filter((port) => sharesList(address, port, list));
    if (within.length === 0) {
      const free = ports.filter((port) => !addresses.some((other) => sharesFirstList(other, port)));
      return placeOf([], address, free, transports);
    }
    const rest = (path: Path) => path.slice(list + 1);
    const beside = transports.filter((transport) => sharesList(address, transport, list));
    return placeOf(address.slice(0, list + 1), rest(address), within.map(rest), beside.map(rest));
  });
}

function placeOf(items: Path, address: Path, ports: readonly Path[], transports: readonly Path[]): Place {
  const isNetwork = address.at(-1)!.name === "cidr";
  return {
    items,
    block: isNetwork ? address.slice(0, -1) : undefined,
    address: isNetwork ? address.slice(-1) : address,
    ports: ports.map((port) => {
      const parent = port.slice(0, -1);
      const beside = transports.find((other) => isPrefix(parent, other) && other.length === port.length);
      return { parent, field: port.at(-1)!.name, transport: beside?.at(-1)?.name };
    }),
  };
}

function sharesFirstList(address: Path, other: Path): boolean {
  const list = address.findIndex(({ all }) => all);
  return list >= 0 && sharesList(address, other, list);
}

/** Whether both go through the same list, at place `list` of both. */
function sharesList(a: Path, b: Path, list: number): boolean {
  return b.length > list && isPrefix(a.slice(0, list + 1), b);
}

function isPrefix(prefix: Path, path: Path): boolean {
  return prefix.every(({ name, all }, i) => path[i]?.name === name && path[i].all === all);
}
