/** How objects are recognised in a flow: the associations of the configuration, ready for use. */

import { type Kind, kindOf } from "../model/kinds.ts";
import { type Json, type KubernetesObject, parsePath, type Path, valuesAt } from "../model/object.ts";
import { type Direction, SIDES } from "../model/stored.ts";

/** One item of `sources`: a field of the flow, and the fields of the object that may equal it. */
export interface AssociationSource {
  readonly from: string;
  readonly to: readonly string[];
}

/** Associations by kind, as the configuration has them: `pod: { sources }`. */
export type Associations = Readonly<Record<string, { readonly sources: readonly AssociationSource[] }>>;

/** A port, or a range of them, with its protocol in lower case; `""` means any. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
  readonly transport: string;
}

/** Some addresses of an object and the ports that go with them; no port means any. */
export interface Claim {
  readonly addresses: readonly string[];
  /** Of a network: the parts that are left out. */
  readonly except: readonly string[];
  readonly ports: readonly PortRange[];
  /** `ipv4`, `ipv6`; empty means any. */
  readonly families: readonly string[];
}

/** The association of one kind. */
export interface Rule {
  readonly kind: Kind;
  /** Sum of the {@linkcode SIDES} for which it holds. */
  readonly sides: number;
  readonly addressPaths: readonly Path[];
  readonly portPaths: readonly Path[];
  readonly transportPaths: readonly Path[];
  readonly familyPaths: readonly Path[];
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
    const addressPaths = pathsOf(`${direction}.ip`);
    const ownPorts = pathsOf(`${direction}.port`);
    const peerPorts = pathsOf(`${peer}.port`);
    const rule = {
      kind,
      sides: SIDES[direction],
      addressPaths,
      portPaths: ownPorts.length > 0 ? ownPorts : peerPorts,
      transportPaths: pathsOf("network.transport"),
      familyPaths: pathsOf("network.type"),
      isPeerPort: ownPorts.length === 0 && peerPorts.length > 0,
    };
    return addressPaths.length === 0 ? [] : [rule];
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
 * What `object` claims. Addresses and ports that stand in the same item of a list belong together, as in
 * `subsets[*].addresses[*].ip` and `subsets[*].ports[*].port`; others are combined freely.
 */
export function claimsOf(rule: Rule, object: KubernetesObject): Claim[] {
  const root = object as unknown as Json;
  const families = rule.familyPaths.flatMap((path) => valuesAt(root, path)).map((family) =>
    String(family).toLowerCase()
  );
  const claims: Claim[] = [];
  for (const path of rule.addressPaths) {
    const list = path.findIndex(({ all }) => all);
    const within = list < 0 ? [] : rule.portPaths.filter((port) => sharesList(path, port, list));
    if (within.length === 0) {
      const free = rule.portPaths.filter((port) =>
        !rule.addressPaths.some((address) => sharesFirstList(address, port))
      );
      claims.push(...placesAt(root, path, { ports: portsAt(root, free, rule.transportPaths), families }));
      continue;
    }
    const rest = (other: Path) => other.slice(list + 1);
    const transports = rule.transportPaths.filter((other) => sharesList(path, other, list)).map(rest);
    for (const item of itemsAt(root, path.slice(0, list + 1))) {
      const ports = portsAt(item, within.map(rest), transports);
      claims.push(...placesAt(item, rest(path), { ports, families }));
    }
  }
  return claims.filter(({ addresses }) => addresses.length > 0);
}

/** All addresses that `object` claims, whatever the ports. */
export function claimedAddresses({ addressPaths }: Rule, object: KubernetesObject): string[] {
  return addressPaths.flatMap((path) => addressesAt(object as unknown as Json, path));
}

function sharesFirstList(address: Path, other: Path): boolean {
  const list = address.findIndex(({ all }) => all);
  return list >= 0 && sharesList(address, other, list);
}

/** Whether both go through the same list, at place `list` of both. */
function sharesList(a: Path, b: Path, list: number): boolean {
  return b.length > list && a.slice(0, list + 1).every(({ name, all }, i) => b[i].name === name && b[i].all === all);
}

function itemsAt(value: Json | undefined, path: Path): Json[] {
  let items: Json[] = value === undefined ? [] : [value];
  for (const { name, all } of path) {
    items = items.flatMap((item) => {
      const child = typeof item === "object" && item !== null ? (item as { [name: string]: Json })[name] : undefined;
      if (child === undefined) return [];
      return all ? (Array.isArray(child) ? child as Json[] : []) : [child];
    });
  }
  return items;
}

/** The addresses at `path`, each `ipBlock` by itself. */
function placesAt(value: Json, path: Path, terms: Pick<Claim, "ports" | "families">): Claim[] {
  const last = path.slice(-1);
  if (last[0].name !== "cidr") return [{ addresses: addressesAt(value, path), except: [], ...terms }];
  return itemsAt(value, path.slice(0, -1)).map((block) => ({
    addresses: addressesAt(block, last),
    except: addressesAt(block, EXCEPT),
    ...terms,
  }));
}

/** Addresses in the form that flows have; `status.podIPs[*]` has objects with an `ip`. */
function addressesAt(value: Json, path: Path): string[] {
  const items = itemsAt(value, path).map((item) => typeof item === "object" ? valuesAt(item, IP)[0] : item);
  const isAddress = (item: unknown): item is string => typeof item === "string" && /[.:]/.test(item);
  return [...new Set(items.filter(isAddress).map(normalAddress))];
}

const ALL_PORTS = { first: 0, last: 65_535 };
const NO_PORTS = { first: 1, last: 0 };
const EXCEPT: Path = [{ name: "except", all: true }];
const IP: Path = [{ name: "ip", all: false }];

/** Port, protocol and `endPort` of one item stand beside each other. */
function portsAt(value: Json, paths: readonly Path[], transportPaths: readonly Path[]): PortRange[] {
  return paths.flatMap((path) => {
    const parent = path.slice(0, -1);
    const field = path[path.length - 1].name;
    const beside = transportPaths.find((other) => isPrefix(parent, other) && other.length === path.length)?.at(-1)
      ?.name;
    return itemsAt(value, parent).flatMap((item) => {
      const fields = item as { [name: string]: Json };
      const first = fields[field];
      const transport = beside === undefined ? "" : transportOf(fields[beside]);
      // Slices and policies that leave the port out mean all of the protocol; a name is that of a port of somebody else.
      if (field === "port" && (first === undefined || first === null)) return [{ ...ALL_PORTS, transport }];
      if (typeof first === "string") return [{ ...NO_PORTS, transport }];
      if (typeof first !== "number" || first === 0) return [];
      return [{ first, last: typeof fields.endPort === "number" ? fields.endPort : first, transport }];
    });
  });
}

function isPrefix(prefix: Path, path: Path): boolean {
  return prefix.every(({ name, all }, i) => path[i]?.name === name && path[i].all === all);
}

/** The default of every `protocol` is TCP; listeners of gateways name what runs on top of it. */
function transportOf(value: Json | undefined): string {
  const name = typeof value === "string" ? value.toLowerCase() : "";
  return name === "udp" || name === "sctp" ? name : "tcp";
}

/** RFC 5952 text, with the prefix length where there is one. */
export function normalAddress(text: string): string {
  const [address, bits] = text.split("/");
  if (!address.includes(":") || !URL.canParse(`http://[${address}]/`)) return text;
  const normal = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  return bits === undefined ? normal : `${normal}/${bits}`;
}
