/** Objects of a cluster without controllers: what they would make is made by hand. */

import type { Any, ApiServer } from "./api_server.ts";

const NAMESPACE = "default";

/** Collections of the namespace in which tests work. */
export const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
export const SERVICES = `/api/v1/namespaces/${NAMESPACE}/services`;
const APPS = `/apis/apps/v1/namespaces/${NAMESPACE}`;

/** What owns an object. */
export interface Owner {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface PodParts {
  readonly name: string;
  readonly ips: readonly string[];
  readonly owner?: Owner;
  readonly labels?: Record<string, string>;
  /** Of a container called `main`. */
  readonly port?: number;
  readonly hostNetwork?: boolean;
  readonly hostIP?: string;
  /** Name of its service account. */
  readonly account?: string;
}

/** A running pod, as its kubelet would report it. */
export async function createPod(server: ApiServer, parts: PodParts): Promise<Any> {
  const { name, ips, owner, labels, port, hostNetwork = false, hostIP = "10.0.0.1", account } = parts;
  const ports = port === undefined ? [] : [{ containerPort: port }];
  return await server.create(PODS, {
    metadata: { name, labels, ownerReferences: owner && [reference(owner)] },
    spec: {
      ...{ nodeName: "node-a", hostNetwork, serviceAccountName: account },
      containers: [{ name: "main", image: "example.org/team/app:1.2", ports }],
    },
    status: {
      phase: "Running",
      startTime: new Date().toISOString(),
      podIP: ips[0],
      podIPs: ips.map((ip) => ({ ip })),
      hostIP,
      hostIPs: [{ ip: hostIP }],
    },
  });
}

/** A Deployment with its ReplicaSet; the latter owns pods. */
export async function createDeployment(server: ApiServer, name: string): Promise<Owner> {
  const labels = { app: name };
  const template = {
    metadata: { labels },
    spec: { containers: [{ name: "main", image: "example.org/team/app:1.2" }] },
  };
  const spec = { selector: { matchLabels: labels }, template };
  const deployment = await server.create(`${APPS}/deployments`, { metadata: { name, labels }, spec });
  const owner = { kind: "Deployment", name, uid: deployment.metadata.uid };
  const set = await server.create(`${APPS}/replicasets`, {
    metadata: { name: `${name}-1`, labels, ownerReferences: [reference(owner)] },
    spec,
  });
  return { kind: "ReplicaSet", name: `${name}-1`, uid: set.metadata.uid };
}

function reference({ kind, name, uid }: Owner): Any {
  return { apiVersion: kind === "Job" ? "batch/v1" : "apps/v1", kind, name, uid, controller: true };
}
