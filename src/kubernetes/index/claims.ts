/** What an object says of its addresses and ports, read by the rule of its kind. */

import { type Json, type JsonObject, type KubernetesObject, type Path, valuesAt } from "../model/object.ts";
import type { PortPlace, Rule } from "./rules.ts";

/** A port, or a range of them, with its protocol in lower case; `""` means any. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
  readonly transport: string;
}

/** Some addresses of an object and the ports that go with them; no port means any. */
export interface AddressGroup {
  readonly addresses: readonly string[];
  /** Of a network: the parts that are left out. */
  readonly except: readonly string[];
  readonly ports: readonly PortRange[];
}

const ALL_PORTS = { first: 0, last: 65_535 };
const NO_PORTS = { first: 1, last: 0 };
const EXCEPT: Path = [{ name: "except", all: true }];
const IP: Path = [{ name: "ip", all: false }];
const NOTHING: readonly string[] = [];

/** The addresses of `object`, with the ports that go with them. */
export function addressGroups({ places }: Rule, object: KubernetesObject): AddressGroup[] {
  const groups: AddressGroup[] = [];
  for (const { items, block, address, ports } of places) {
    for (const item of itemsAt(object as unknown as Json, items)) {
      if (block === undefined) {
        const addresses = addressesAt(item, address);
        if (addresses.length > 0) groups.push({ addresses, except: NOTHING, ports: portsAt(item, ports) });
        continue;
      }
      const ranges = portsAt(item, ports);
      for (const one of itemsAt(item, block)) {
        const addresses = addressesAt(one, address);
        if (addresses.length > 0) groups.push({ addresses, except: addressesAt(one, EXCEPT), ports: ranges });
      }
    }
  }
  return groups;
}

/** All addresses of `object`, whatever the ports. */
export function allAddresses({ places }: Rule, object: KubernetesObject): string[] {
  const root = object as unknown as Json;
  const all: string[] = [];
  for (const { items, block, address } of places) {
    for (const item of itemsAt(root, items)) {
      for (const one of block ? itemsAt(item, block) : [item]) all.push(...addressesAt(one, address));
    }
  }
  return all;
}

/** `ipv4`, `ipv6`; empty means any. */
export function familiesOf({ families }: Rule, object: KubernetesObject): string[] {
  return families.flatMap((path) => valuesAt(object as unknown as Json, path))
    .map((family) => String(family).toLowerCase());
}

function itemsAt(value: Json | undefined, path: Path): Json[] {
  const items: Json[] = [];
  collect(value, path, 0, items);
  return items;
}

function collect(value: Json | undefined, path: Path, from: number, items: Json[]): void {
  if (value === undefined) return;
  if (from === path.length) {
    items.push(value);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const { name, all } = path[from];
  const child = (value as JsonObject)[name];
  if (!all) collect(child, path, from + 1, items);
  else if (Array.isArray(child)) { for (const item of child) collect(item, path, from + 1, items); }
}

/** Addresses in the form that flows have; `status.podIPs[*]` has objects with an `ip`. */
function addressesAt(value: Json, path: Path): string[] {
  const addresses = new Set<string>();
  for (const item of itemsAt(value, path)) {
    const text = typeof item === "object" ? valuesAt(item, IP)[0] : item;
    if (typeof text === "string" && (text.includes(".") || text.includes(":"))) addresses.add(normalAddress(text));
  }
  return Array.from(addresses);
}

function portsAt(value: Json, places: readonly PortPlace[]): PortRange[] {
  const ranges: PortRange[] = [];
  for (const { parent, field, transport: beside } of places) {
    for (const item of itemsAt(value, parent)) {
      const fields = item as JsonObject;
      const port = fields[field];
      const transport = beside === undefined ? "" : transportOf(fields[beside]);
      // Slices and policies that leave the port out mean all of the protocol; a name is that of a port of somebody else.
      if (field === "port" && (port === undefined || port === null)) ranges.push({ ...ALL_PORTS, transport });
      else if (typeof port === "string") ranges.push({ ...NO_PORTS, transport });
      else if (typeof port === "number" && port !== 0) {
        ranges.push({ first: port, last: typeof fields.endPort === "number" ? fields.endPort : port, transport });
      }
    }
  }
  return ranges;
}

/** The default of every `protocol` is TCP; listeners of gateways name what runs on top of it. */
function transportOf(value: Json | undefined): string {
  const name = typeof value === "string" ? value.toLowerCase() : "";
  return name === "udp" || name === "sctp" ? name : "tcp";
}

/** RFC 5952 text, with the prefix length where there is one. */
export function normalAddress(text: string): string {
  if (!text.includes(":")) return text;
  const [address, bits] = text.split("/");
  if (!URL.canParse(`http://[${address}]/`)) return text;
  const normal = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  return bits === undefined ? normal : `${normal}/${bits}`;
}
