/** The kinds of objects that are known, and where an API server has them. */

/** Names in the configuration. */
export const KINDS = [
  "Service",
  "Endpoint",
  "EndpointSlice",
  "Gateway",
  "Ingress",
  "Pod",
  "ReplicaSet",
  "Deployment",
  "DaemonSet",
  "StatefulSet",
  "Job",
  "CronJob",
  "NetworkPolicy",
  "Node",
  "Namespace",
] as const;

export type Kind = (typeof KINDS)[number];

/** Where objects of a kind are found in the API. */
export interface KindFacts {
  /** API group; `""` is the core group. */
  readonly group: string;
  /** The best first; the oldest are those of Kubernetes 1.20. */
  readonly versions: readonly string[];
  /** Name in a path of the API. */
  readonly plural: string;
  /** Name in attributes, as in `k8s.<word>.name`, and in paths, as in `<word>.metadata.name`. */
  readonly word: string;
}

export const KIND_FACTS: Readonly<Record<Kind, KindFacts>> = {
  Service: facts("", ["v1"], "services", "service"),
  Endpoint: facts("", ["v1"], "endpoints", "endpoints"),
  EndpointSlice: facts("discovery.k8s.io", ["v1", "v1beta1"], "endpointslices", "endpointslice"),
  Gateway: facts("gateway.networking.k8s.io", ["v1", "v1beta1"], "gateways", "gateway"),
  Ingress: facts("networking.k8s.io", ["v1", "v1beta1"], "ingresses", "ingress"),
  Pod: facts("", ["v1"], "pods", "pod"),
  ReplicaSet: facts("apps", ["v1"], "replicasets", "replicaset"),
  Deployment: facts("apps", ["v1"], "deployments", "deployment"),
  DaemonSet: facts("apps", ["v1"], "daemonsets", "daemonset"),
  StatefulSet: facts("apps", ["v1"], "statefulsets", "statefulset"),
  Job: facts("batch", ["v1"], "jobs", "job"),
  CronJob: facts("batch", ["v1", "v1beta1"], "cronjobs", "cronjob"),
  NetworkPolicy: facts("networking.k8s.io", ["v1"], "networkpolicies", "networkpolicy"),
  Node: facts("", ["v1"], "nodes", "node"),
  Namespace: facts("", ["v1"], "namespaces", "namespace"),
};

/** The kind that a path or an `extract` block names: `pod`, `endpoint`, `endpoints`, in any case. */
export function kindOf(word: string): Kind | undefined {
  const lower = word.toLowerCase();
  return KINDS.find((kind) => kind.toLowerCase() === lower || KIND_FACTS[kind].word === lower);
}

function facts(group: string, versions: readonly string[], plural: string, word: string): KindFacts {
  return { group, versions, plural, word };
}
