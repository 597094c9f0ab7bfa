/**
 * The OpenTelemetry resource of the agent: who sends the spans, and from which host.
 *
 * Permissions of {@link readHostFacts}: --allow-sys=hostname,osRelease,networkInterfaces --allow-read=/etc/machine-id;
 * of the caller, for the two variables: --allow-env=OTEL_SERVICE_NAME,OTEL_RESOURCE_ATTRIBUTES.
 */

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
  /** IP addresses of all interfaces. */
  addresses?: readonly string[];
}

export interface ResourceInputs {
  /** Version of the agent. */
  version: string;
  /** Unique for each run of an agent. */
  instanceId: string;
  host: HostFacts;
  /** Values of OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES. */
  serviceName?: string;
  resourceAttributes?: string;
}

/**
 * Attributes of the resource. The environment wins over what was found out, OTEL_SERVICE_NAME over
 * OTEL_RESOURCE_ATTRIBUTES (OpenTelemetry specification, "Resource SDK").
 *
 * @param warn told of an OTEL_RESOURCE_ATTRIBUTES that can't be read, which is then ignored as a whole.
 */
export function resourceAttributes(inputs: ResourceInputs, warn: (text: string) => void): ResourceAttributes {
  const { host, version } = inputs;
  const addresses = host.addresses?.filter((address) => !isLoopback(address)) ?? [];
  const all: Record<string, string | readonly string[] | undefined> = {
    "service.name": SERVICE,
    "service.version": version,
    "service.instance.id": inputs.instanceId,
    "host.name": host.hostname,
    "host.id": host.machineId?.trim(),
    "host.ip": addresses,
    "os.type": "linux",
    "os.version": host.osRelease,
    "telemetry.distro.name": SERVICE,
    "telemetry.distro.version": version,
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
 * @param warn told of a fact that can't be read; it is left out.
 */
export function readHostFacts(warn: (text: string) => void): HostFacts {
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
    addresses: attempt("the addresses", () => Deno.networkInterfaces().map(({ address }) => address)),
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
