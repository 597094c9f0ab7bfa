import { ConfigError } from "./config/mod.ts";
import type { OtlpConfig } from "./export/otlp/mod.ts";
import type { ClusterAccess } from "./kubernetes/api/access.ts";
import { SERVICE_ACCOUNT } from "./kubernetes/api/kubeconfig.ts";
import type { Config } from "./settings.ts";

/** What the permissions depend on besides the configuration. */
export interface PermissionContext {
  /** The native library. */
  readonly libraryPath: string;
  /** The configuration file, if there is one. */
  readonly configPath?: string;
  /** Environment variables that are read. */
  readonly env: readonly string[];
  /** `MERMIN_ALLOW_NET`: what a later configuration may use besides, as `host:port`, separated by commas. */
  readonly allowNet?: string;
  /** Files that say how the cluster is reached, and what they say; left out where there is none. */
  readonly kubeconfigs?: readonly string[];
  readonly access?: ClusterAccess;
}

/** What `readHostFacts` (src/resource.ts) asks about the host, for the attributes that go with every record. */
const HOST_FACTS = { sys: ["hostname", "osRelease"], read: ["/etc/machine-id"] };

/**
 * The narrowest Deno flags with which the agent can do what `config` says; without a configuration, those of a command
 * that only works in the kernel, and may read the file.
 *
 * Native code is outside of Deno's sandbox: what the library does is not limited by them.
 *
 * @throws {ConfigError} when a path cannot be named in a flag
 */
export function permissionFlags(config: Config | undefined, context: PermissionContext): string[] {
  const needs: readonly Omit<Need, "step">[] = config
    ? [...needsOf(config), ...ownTracesNeeds(config), ...clusterNeeds(context)]
    : [];
  const valuesOf = (kind: Need["permission"]) => [
    ...new Set(needs.filter(({ permission }) => permission === kind).map(({ value }) => value)),
  ];
  const configFile = context.configPath === undefined ? [] : [flagPath(context.configPath)];
  const flags: [name: string, values: readonly string[]][] = [
    ["net", [...new Set([...valuesOf("net"), ...moreHosts(config && context.allowNet)])]],
    ["ffi", [flagPath(context.libraryPath)]],
    ["read", config ? [...configFile, ...HOST_FACTS.read, ...valuesOf("read").map(flagPath)] : configFile],
    ["env", context.env],
    ["run", context.access?.exec ? [flagPath(context.access.exec.command)] : []],
    ["sys", config ? HOST_FACTS.sys : []],
  ];
  return flags.filter(([, values]) => values.length > 0).map(([name, values]) => `--allow-${name}=${values.join(",")}`);
}

/** Something outside that a part of the configuration needs, as Deno names it. */
export interface Need {
  /** The part. */
  readonly step: "export" | "api" | "metrics";
  readonly permission: "net" | "read";
  /** `host:port`, or a path. */
  readonly value: string;
}

/** What `config` needs beyond what every configuration does. */
export function needsOf(config: Config): Need[] {
  const { export: { otlp }, api, metrics } = config;
  const needs: Need[] = otlp ? otlpNeeds(otlp).map((need) => ({ step: "export", ...need })) : [];
  for (const [step, { enabled, listenAddress, port }] of [["api", api], ["metrics", metrics]] as const) {
    if (enabled) needs.push({ step, permission: "net", value: `${bracketed(listenAddress)}:${port}` });
  }
  return needs;
}

/** What the agent's own spans need; they change with a restart only. */
function ownTracesNeeds({ ownTraces }: Config): Omit<Need, "step">[] {
  return ownTraces?.otlp ? otlpNeeds(ownTraces.otlp) : [];
}

/** The files of a pod's account are links to others that change, so their folder is named. */
function clusterNeeds({ kubeconfigs = [], access }: PermissionContext): Omit<Need, "step">[] {
  const files = [access?.caFile, access?.certFile, access?.keyFile, access?.tokenFile].filter((path) =>
    path !== undefined
  )
    .map((path) => path.startsWith(`${SERVICE_ACCOUNT}/`) ? SERVICE_ACCOUNT : path);
  const hosts = access ? [access.server, ...(access.proxy ? [access.proxy] : [])].map(hostOf) : [];
  return [
    ...hosts.map((value) => ({ permission: "net", value }) as const),
    ...[...kubeconfigs, ...files].map((value) => ({ permission: "read", value }) as const),
  ];
}

function hostOf(address: string): string {
  const { hostname, port, protocol } = new URL(address);
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}

function otlpNeeds({ endpoint, tls }: OtlpConfig): Omit<Need, "step">[] {
  const value = hostOf(endpoint);
  // Read at the start and whenever they are renewed.
  const files = tls ? [tls.caCert, tls.clientCert, tls.clientKey].filter((path) => path !== "") : [];
  return [{ permission: "net", value }, ...files.map((path) => ({ permission: "read", value: path }) as const)];
}

/** Whether this process was started with the permission. */
export function isGranted({ permission, value }: Need): boolean {
  const descriptor = permission === "net"
    ? { name: "net", host: value } as const
    : { name: "read", path: value } as const;
  return Deno.permissions.querySync(descriptor).state === "granted";
}

/** @throws {ConfigError} for what would be another flag, or all hosts. */
function moreHosts(allowNet = ""): string[] {
  const hosts = allowNet.split(",").map((host) => host.trim()).filter((host) => host !== "");
  const wrong = hosts.find((host) => !/^([\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}$/.test(host));
  if (wrong === undefined) return hosts;
  throw new ConfigError([`MERMIN_ALLOW_NET: "${wrong}" is not a host with a port; write for example "collector:4317"`]);
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/**
 * `path` as it stands in a flag: Deno's separate paths by commas and have no way to write one; the launcher reads one flag a
 * line.
 *
 * @throws {ConfigError} when it cannot
 */
export function flagPath(path: string): string {
  if (!/[,\n]/.test(path)) return path;
  const why = "Deno's permissions cannot name a path with a comma or a line break; rename it";
  throw new ConfigError([`Cannot permit ${JSON.stringify(path)}: ${why}`]);
}
