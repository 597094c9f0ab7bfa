/**
 * The OpenTelemetry resource of the agent: who sends the spans, and from which host.
 *
 * Permissions of {@link readHostFacts}: --allow-sys=hostname,osRelease --allow-read=/etc/machine-id;
 * of the caller, for the two variables: --allow-env=OTEL_SERVICE_NAME,OTEL_RESOURCE_ATTRIBUTES.
 */

import type { Identity } from "./kubernetes/identity.ts";

const SERVICE = "mermin";
const MACHINE_ID_FILE = "/etc/machine-id";

export type ResourceAttributes = Record<string, string | readonly string[]>;

/** What is known about the host; what is not known is left out. */
export interface HostFacts {
  hostname?: string;
  /** Release of the kernel. */
  osRelease?: string;
  /** Content of /etc/machine-id. */
  machineId?: string;
  /** IP addresses of the watched network namespace, but the loopback's; link-local ones are among them. */
  addresses?: readonly string[];
}

export interface ResourceInputs {
  /** Version of the agent. */
  version: string;
  /** Unique for each run of an agent. */
  instanceId: string;
  host: HostFacts;
  /** Who the agent is in a cluster. */
  cluster?: Identity;
  /** Values of OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES. */
  serviceName?: string;
  resourceAttributes?: string;
}

interface ResourceAttribute {
  readonly name: string;
  readonly type: "string" | "string[]";
  /** One sentence for the documentation. */
  readonly about: string;
  /** `undefined`, or empty, when it is not known. */
  readonly read: (inputs: ResourceInputs) => string | readonly string[] | undefined;
}

/** What the agent finds out itself; the environment may say otherwise, or more. Names: OpenTelemetry semantic conventions. */
export const RESOURCE_ATTRIBUTES: readonly ResourceAttribute[] = [
  { name: "service.name", type: "string", about: `\`${SERVICE}\``, read: () => SERVICE },
  { name: "service.version", type: "string", about: "version of the agent", read: ({ version }) => version },
  {
    name: "service.instance.id",
    type: "string",
    about: "a random UUID for each run",
    read: ({ instanceId }) => instanceId,
  },
  { name: "host.name", type: "string", about: "name of the host", read: ({ host }) => host.hostname },
  {
    name: "host.id",
    type: "string",
    about: `content of ${MACHINE_ID_FILE}`,
    read: ({ host }) => host.machineId?.trim(),
  },
  {
    name: "host.ip",
    type: "string[]",
    about: "addresses of the watched network namespace but the loopback's, with link-local ones; IPv6 as in RFC 5952",
    read: ({ host }) => [...new Set(host.addresses?.filter((address) => !isLoopback(address)))],
  },
  { name: "os.type", type: "string", about: "`linux`", read: () => "linux" },
  { name: "os.version", type: "string", about: "release of the kernel", read: ({ host }) => host.osRelease },
  { name: "k8s.cluster.uid", type: "string", about: "uid of kube-system", read: ({ cluster }) => cluster?.clusterUid },
  {
    name: "k8s.cluster.name",
    type: "string",
    about: "what Cluster API or eksctl have written on the agent's node",
    read: ({ cluster }) => cluster?.clusterName,
  },
  { name: "k8s.node.name", type: "string", about: "the agent's node", read: ({ cluster }) => cluster?.nodeName },
  { name: "k8s.node.uid", type: "string", about: "its uid", read: ({ cluster }) => cluster?.nodeUid },
  {
    name: "k8s.namespace.name",
    type: "string",
    about: "of the agent's pod",
    read: ({ cluster }) => cluster?.namespace,
  },
  { name: "k8s.pod.name", type: "string", about: "the agent's pod", read: ({ cluster }) => cluster?.podName },
  { name: "telemetry.distro.name", type: "string", about: `\`${SERVICE}\``, read: () => SERVICE },
  { name: "telemetry.distro.version", type: "string", about: "version of the agent", read: ({ version }) => version },
];

/**
 * Attributes of the resource. The environment wins over what was found out, OTEL_SERVICE_NAME over
 * OTEL_RESOURCE_ATTRIBUTES (OpenTelemetry specification, "Resource SDK").
 *
 * @param warn told of an OTEL_RESOURCE_ATTRIBUTES that can't be read, which is then ignored as a whole.
 */
export function resourceAttributes(inputs: ResourceInputs, warn: (text: string) => void): ResourceAttributes {
  const all: Record<string, string | readonly string[] | undefined> = {
    ...Object.fromEntries(RESOURCE_ATTRIBUTES.map(({ name, read }) => [name, read(inputs)])),
    ...environmentAttributes(inputs.resourceAttributes ?? "", warn),
  };
  if (inputs.serviceName) all["service.name"] = inputs.serviceName;
  const known: ResourceAttributes = {};
  for (const [name, value] of Object.entries(all)) if (value !== undefined && value.length > 0) known[name] = value;
  return known;
}

/**
 * Reads what there is to know about this host.
 *
 * @param readAddresses those of {@link HostFacts}.
 * @param warn told of a fact that can't be read; it is left out.
 */
export function readHostFacts(readAddresses: () => readonly string[], warn: (text: string) => void): HostFacts {
  const attempt = <T>(what: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      // Many containers have no machine id: that is a host without one, not a failure.
      if (!(error instanceof Deno.errors.NotFound)) warn(`cannot read ${what}: ${error}`);
      return undefined;
    }
  };
  return {
    hostname: attempt("the host name", () => Deno.hostname()),
    osRelease: attempt("the kernel's release", () => Deno.osRelease()),
    machineId: attempt(MACHINE_ID_FILE, () => Deno.readTextFileSync(MACHINE_ID_FILE)),
    addresses: attempt("the addresses", readAddresses),
  };
}

/** Parses `key=value,key=value`, both percent-encoded. */
function environmentAttributes(text: string, warn: (text: string) => void): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const pair of text.split(",")) {
    if (pair.trim() === "") continue;
    const at = pair.indexOf("=");
    const key = at < 0 ? undefined : decode(pair.slice(0, at));
    const value = decode(pair.slice(at + 1));
    if (!key || value === undefined) {
      warn(`OTEL_RESOURCE_ATTRIBUTES is ignored: "${pair.trim()}" is not key=value with percent-encoding`);
      return {};
    }
    attributes[key] = value;
  }
  return attributes;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.trim());
  } catch {
    return undefined; // The caller says which pair it was.
  }
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
