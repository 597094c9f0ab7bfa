/** Who the agent itself is in the cluster. */

import type { Connection } from "./api/access.ts";
import { getObject } from "./api/api.ts";
import { SERVICE_ACCOUNT } from "./api/kubeconfig.ts";
import { childOf, type KubernetesObject } from "./model/object.ts";

/** What is known; the rest is left out. */
export interface Identity {
  readonly clusterUid?: string;
  readonly clusterName?: string;
  readonly namespace?: string;
  readonly podName?: string;
  readonly nodeName?: string;
  readonly nodeUid?: string;
}

export interface IdentityIo {
  env(name: string): string | undefined;
  readText(path: string): string;
  hostname(): string;
}

/** Its uid stands for the cluster's. */
export const CLUSTER_NAMESPACE = "/api/v1/namespaces/kube-system";

/**
 * Where the API has the pod: the one that `POD_NAMESPACE` and `POD_NAME` name, or in its own network the one of the account's
 * namespace and the host name; `undefined` outside of a cluster.
 */
export function ownPodPath(io: IdentityIo): string | undefined {
  const namespace = io.env("POD_NAMESPACE") ?? accountNamespace(io);
  const guessed = io.env("KUBERNETES_SERVICE_HOST") === undefined ? undefined : io.hostname();
  const name = io.env("POD_NAME") ?? guessed;
  return namespace && name ? `/api/v1/namespaces/${namespace}/pods/${name}` : undefined;
}

/**
 * The node is the pod's, or what `NODE_NAME` says.
 *
 * @param warn told of what cannot be read
 */
export async function ownIdentity(
  connection: Connection,
  io: IdentityIo,
  signal: AbortSignal,
  warn: (text: string) => void,
): Promise<Identity> {
  const read = async (path: string): Promise<KubernetesObject | undefined> => {
    try {
      return await getObject(connection, path, signal);
    } catch (error) {
      warn(`cannot read ${path} of the cluster: ${(error as Error).message}`);
      return undefined;
    }
  };
  const podPath = ownPodPath(io);
  const [cluster, pod] = await Promise.all([read(CLUSTER_NAMESPACE), podPath ? read(podPath) : undefined]);
  const podNode = childOf(pod?.spec, "nodeName");
  const nodeName = io.env("NODE_NAME") ?? (typeof podNode === "string" ? podNode : undefined);
  const node = nodeName === undefined ? undefined : await read(`/api/v1/nodes/${nodeName}`);
  return {
    clusterUid: cluster?.metadata.uid,
    clusterName: node && clusterNameAt(node),
    namespace: pod?.metadata.namespace,
    podName: pod?.metadata.name,
    nodeName,
    nodeUid: node?.metadata.uid,
  };
}

/** A cluster does not know its own name; who made it may have written it on its nodes: Cluster API, eksctl. */
function clusterNameAt({ metadata: { annotations, labels } }: KubernetesObject): string | undefined {
  return annotations?.["cluster.x-k8s.io/cluster-name"] ?? labels?.["alpha.eksctl.io/cluster-name"];
}

function accountNamespace(io: IdentityIo): string | undefined {
  try {
    return io.readText(`${SERVICE_ACCOUNT}/namespace`).trim();
  } catch {
    return undefined; // Not in a pod.
  }
}
