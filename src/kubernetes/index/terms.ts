/** Under which terms an object has addresses: what must fit besides the address. */

import { type AddressKey, addressKey } from "../model/address_key.ts";
import { Cidr } from "../model/cidr.ts";
import type { KubernetesObject } from "../model/object.ts";
import { addressGroups, allAddresses, familiesOf, normalAddress, type PortRange } from "./claims.ts";
import type { Rule } from "./rules.ts";

/** Shared by all addresses of an object, and by all pods that are alone at theirs. */
export interface Terms {
  /** Sum of the {@linkcode SIDES} for which they count. */
  readonly sides: number;
  /** None means any. */
  readonly ports: readonly PortRange[];
  /** `ipv4`, `ipv6`; none means any. */
  readonly families: readonly string[];
  readonly isPeerPort: boolean;
  /** The address is also that of a node: only a port of the node tells the object. */
  readonly isShared: boolean;
  readonly network?: Cidr;
  readonly except: readonly Cidr[];
}

/** One address, or network, of an object. */
export interface Draft {
  /** Of a network: its text. */
  readonly key: AddressKey;
  readonly terms: Terms;
}

const NO_NETWORKS: readonly Cidr[] = [];
/** Of a pod that is alone at its address, by sides. */
const ALONE: readonly Terms[] = [0, 1, 2, 3].map((sides) => ({
  ...{ sides, ports: [], families: [], isPeerPort: false, isShared: false, except: NO_NETWORKS },
}));

export function draftsOf(rule: Rule, object: KubernetesObject): Draft[] {
  const { kind, sides, isPeerPort } = rule;
  if (kind === "Pod") return podDrafts(allAddresses(rule, object), sides, object);
  const families = familiesOf(rule, object);
  const drafts: Draft[] = [];
  for (const { addresses, except, ports } of addressGroups(rule, object)) {
    const exceptions = except.map((text) => Cidr.parse(text)).filter((network) => network !== undefined);
    const terms: Terms = { sides, ports, families, isPeerPort, isShared: false, except: exceptions };
    for (const address of addresses) {
      const isNetwork = address.includes("/");
      drafts.push({
        key: isNetwork ? address : addressKey(address),
        terms: isNetwork ? { ...terms, network: Cidr.parse(address) } : terms,
      });
    }
  }
  return drafts;
}

/** A pod is alone at its address, unless that is its node's; then it is told by the ports that it has of the node. */
function podDrafts(addresses: readonly string[], sides: number, pod: KubernetesObject): Draft[] {
  const hosts = hostAddresses(pod);
  const ports = hostPorts(pod);
  return [...new Set(addresses)].flatMap((address) => {
    const key = addressKey(address);
    if (!hosts.has(address)) return [{ key, terms: ALONE[sides] }];
    return ports.length === 0 ? [] : [{ key, terms: { ...ALONE[sides], ports, isShared: true } }];
  });
}

function hostAddresses({ spec, status }: KubernetesObject): ReadonlySet<string> {
  const { hostIP, hostIPs, podIP, podIPs } = (status ?? {}) as
    & {
      [name in "hostIP" | "podIP"]?: string;
    }
    & { [name in "hostIPs" | "podIPs"]?: { ip: string }[] };
  const own = (spec as { hostNetwork?: boolean } | undefined)?.hostNetwork ? [podIP, ...(podIPs ?? []).map(ipOf)] : [];
  const all = [hostIP, ...(hostIPs ?? []).map(ipOf), ...own];
  return new Set(all.filter((ip) => ip !== undefined).map(normalAddress));
}

function ipOf({ ip }: { ip: string }): string {
  return ip;
}

interface ContainerPort {
  readonly containerPort?: number;
  readonly hostPort?: number;
  readonly protocol?: string;
}

function containerPorts({ spec }: KubernetesObject): ContainerPort[] {
  const lists = spec as { [list: string]: { ports?: ContainerPort[] }[] | undefined } | undefined;
  return [...lists?.containers ?? [], ...lists?.initContainers ?? []].flatMap(({ ports }) => ports ?? []);
}

/** The API server copies the ports of a container in the host's network to `hostPort`. */
function hostPorts(pod: KubernetesObject): PortRange[] {
  return containerPorts(pod).filter(({ hostPort }) => hostPort).map(({ hostPort, protocol }) => ({
    first: hostPort!,
    last: hostPort!,
    transport: (protocol ?? "TCP").toLowerCase(),
  }));
}

/** Ports that a pod has declared, by which its container is told. */
export function declaredPorts(pod: KubernetesObject): number[] {
  return containerPorts(pod).map(({ containerPort }) => containerPort).filter((port) => port !== undefined);
}
