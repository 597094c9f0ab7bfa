/** Finds out whether there is a cluster; only then is the rest of this component loaded. */

import type { ConfigDocument, Node } from "../config/document.ts";
import type { Histogram } from "../metrics/histogram.ts";
import type { Logger } from "../log.ts";
import { AccessError, type ClusterAccess } from "./api/access.ts";
import type { Cluster } from "./cluster.ts";
import { findAccess, type KubeconfigIo } from "./api/kubeconfig.ts";
import type { DirectionsConfig, InformerConfig } from "./settings.ts";

export interface OpenClusterOptions {
  readonly informer: InformerConfig;
  readonly directions: DirectionsConfig;
  /** Longest time from the first packet of a window to its span. */
  readonly maxWindowMs: number;
  readonly logger: Logger;
  readonly indexSeconds: Histogram;
  readonly decoratorSeconds: Histogram;
  /** Gives back to the system what the allocator keeps of freed memory. */
  readonly trim: () => void;
  readonly io: KubeconfigIo;
}

/** Spans wait for slow exporters, clocks of nodes differ a little. */
const RETAIN_MORE_MS = 60_000;

/**
 * The cluster that is configured, not started; `undefined` without one.
 * @throws {AccessError} when `kubeconfig_path` is set and cannot be used; what the environment names is left out instead
 */
export async function openCluster(options: OpenClusterOptions): Promise<Cluster | undefined> {
  const { maxWindowMs, ...rest } = options;
  const access = accessOf(options);
  if (!access) return undefined;
  const { Cluster } = await import("./cluster.ts");
  return new Cluster({ ...rest, access, retainMs: maxWindowMs + RETAIN_MORE_MS });
}

function accessOf({ informer, logger, io }: OpenClusterOptions): ClusterAccess | undefined {
  try {
    const access = findAccess(informer.kubeconfigPath, io);
    if (!access) logger.info("k8s_none", "runs without Kubernetes: neither in a pod, nor is there a kubeconfig");
    return access;
  } catch (error) {
    if (!(error instanceof AccessError) || informer.kubeconfigPath !== "") throw error;
    logger.warn("k8s_none", `runs without Kubernetes: ${error.message}`);
    return undefined;
  }
}

/** Reads YAML with the parser of the configuration, to which a text may be a template: here none is. */
export function yamlReader(parse: (source: string, fileName: string) => ConfigDocument): (text: string) => unknown {
  return (text) => plain(parse(text.replaceAll(/[$%]\{/g, (start) => start[0] + start), "kubeconfig.yaml").root);
}

function plain(node: Node): unknown {
  switch (node.type) {
    case "object":
      return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value)]));
    case "list":
      return node.items.map(plain);
    case "error":
      throw new Error(node.message);
    default:
      return node.value;
  }
}
