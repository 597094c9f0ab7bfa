/** One NetworkPolicy, ready for use (Kubernetes API, networking.k8s.io/v1). */

import { Cidr } from "../model/cidr.ts";
import { type Expression, type LabelSelector, selects } from "../model/label_selector.ts";
import type { KubernetesObject } from "../model/object.ts";

/** `ingress` policies select the pod that is called, `egress` policies the pod that calls. */
export type PolicyType = "ingress" | "egress";

export interface Policy {
  readonly uid: string;
  readonly name: string;
  readonly pods: LabelSelector;
  /** Left out when the policy is not of that type. */
  readonly rules: { readonly [type in PolicyType]?: readonly Rule[] };
}

/** An empty list allows all. */
export interface Rule {
  readonly peers: readonly Peer[];
  readonly ports: readonly PortRule[];
}

export interface Peer {
  readonly network?: Cidr;
  readonly except: readonly Cidr[];
  readonly pods?: LabelSelector;
  readonly namespaces?: LabelSelector;
}

export interface PortRule {
  readonly transport: string;
  readonly first: number;
  readonly last: number;
  /** Name of the port at the pod that is called; `""` where numbers count. */
  readonly name: string;
}

const NO_PORT = -1;
const MAX_PORT = 65_535;

/** Whether the policy speaks of a pod of its namespace. */
export function isAbout({ pods, rules }: Policy, type: PolicyType, pod: KubernetesObject): boolean {
  return rules[type] !== undefined && selects(pods, pod.metadata.labels);
}

/** Whether the rule is for that port of what is called, which may be a pod. */
export function fitsPort(rule: PortRule, called: KubernetesObject | undefined, port: number, transport: string) {
  if (rule.transport !== transport) return false;
  if (rule.name === "") return rule.first <= port && port <= rule.last;
  return portsNamed(rule, called).includes(port);
}

export function hasNamedPorts(policies: readonly Policy[], type: PolicyType): boolean {
  return policies.some(({ rules }) => rules[type]?.some(({ ports }) => ports.some(({ name }) => name !== "")));
}

/** Ports at which something begins or ends to hold, in order: between two of them all ports are alike. */
export function edgesOf(policies: readonly Policy[], type: PolicyType, called: KubernetesObject | undefined): number[] {
  const edges = new Set<number>();
  for (const rule of policies.flatMap(({ rules }) => rules[type] ?? []).flatMap(({ ports }) => ports)) {
    const ranges = rule.name === "" ? [rule] : portsNamed(rule, called).map((port) => ({ first: port, last: port }));
    for (const { first, last } of ranges) edges.add(first).add(last + 1);
  }
  return [...edges].sort((a, b) => a - b);
}

function portsNamed({ name, transport }: PortRule, pod: KubernetesObject | undefined): number[] {
  const spec = pod?.spec as PodSpec | undefined;
  return [...spec?.containers ?? [], ...spec?.initContainers ?? []].flatMap(({ ports }) => ports ?? [])
    .filter((port) => port.name === name && transportOf(port.protocol) === transport)
    .map(({ containerPort }) => containerPort);
}

function transportOf(protocol = "TCP"): string {
  return protocol.toLowerCase();
}

// What the API server has checked.
interface PodSpec {
  readonly [list: string]:
    | readonly {
      readonly ports?: readonly {
        readonly name?: string;
        readonly containerPort: number;
        readonly protocol?: string;
      }[];
    }[]
    | undefined;
}

interface SelectorSpec {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly (Omit<Expression, "values"> & { readonly values?: readonly string[] })[];
}

interface RuleSpec {
  readonly ports?: readonly {
    readonly port?: number | string;
    readonly endPort?: number;
    readonly protocol?: string;
  }[];
  readonly from?: readonly PeerSpec[];
  readonly to?: readonly PeerSpec[];
}

interface PeerSpec {
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
  readonly podSelector?: SelectorSpec;
  readonly namespaceSelector?: SelectorSpec;
}

interface PolicySpec {
  readonly podSelector?: SelectorSpec;
  readonly policyTypes?: readonly string[];
  readonly ingress?: readonly RuleSpec[];
  readonly egress?: readonly RuleSpec[];
}

export function policyOf({ metadata: { uid, name }, spec: json }: KubernetesObject): Policy {
  const spec = (json ?? {}) as PolicySpec;
  // Without types a policy is for ingress, and for egress when it has such rules.
  const types = spec.policyTypes ?? (spec.egress?.length ? ["Ingress", "Egress"] : ["Ingress"]);
  return {
    uid,
    name,
    pods: selectorOf(spec.podSelector ?? {}),
    rules: {
      ...(types.includes("Ingress") ? { ingress: (spec.ingress ?? []).map(ruleOf) } : {}),
      ...(types.includes("Egress") ? { egress: (spec.egress ?? []).map(ruleOf) } : {}),
    },
  };
}

function ruleOf({ ports = [], from, to }: RuleSpec): Rule {
  return {
    peers: (from ?? to ?? []).map(peerOf),
    ports: ports.map(({ port, endPort, protocol }) => ({
      transport: transportOf(protocol),
      first: typeof port === "number" ? port : NO_PORT,
      last: endPort ?? (typeof port === "number" ? port : MAX_PORT),
      name: typeof port === "string" ? port : "",
    })),
  };
}

function peerOf({ ipBlock, podSelector, namespaceSelector }: PeerSpec): Peer {
  return {
    network: ipBlock && Cidr.parse(ipBlock.cidr),
    except: (ipBlock?.except ?? []).map((text) => Cidr.parse(text)).filter((one) => one !== undefined),
    pods: podSelector && selectorOf(podSelector),
    namespaces: namespaceSelector && selectorOf(namespaceSelector),
  };
}

function selectorOf({ matchLabels = {}, matchExpressions = [] }: SelectorSpec): LabelSelector {
  return { matchLabels, matchExpressions: matchExpressions.map(({ values = [], ...rest }) => ({ ...rest, values })) };
}
