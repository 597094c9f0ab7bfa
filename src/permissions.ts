import { ConfigError } from "./config/mod.ts";
import type { Config } from "./settings.ts";

/** What the permissions depend on besides the configuration. */
export interface PermissionContext {
  /** The native library. */
  readonly libraryPath: string;
  /** The configuration file, if there is one. */
  readonly configPath?: string;
  /** Environment variables that are read. */
  readonly env: readonly string[];
}

/** What `readHostFacts` (src/resource.ts) asks about the host, for the attributes that go with every record. */
const HOST_FACTS = { sys: ["hostname", "osRelease", "networkInterfaces"], read: ["/etc/machine-id"] };

/**
 * The narrowest Deno flags with which the agent can do what `config` says; without a configuration, those of a command
 * that only works in the kernel.
 *
 * Native code is outside of Deno's sandbox: what the library does is not limited by them.
 *
 * @throws {ConfigError} when a path cannot be named in a flag
 */
export function permissionFlags(config: Config | undefined, context: PermissionContext): string[] {
  const configFile = context.configPath === undefined ? [] : [flagPath(context.configPath)];
  const flags: [name: string, values: readonly string[]][] = [
    ["net", config ? networkPeers(config) : []],
    ["ffi", [flagPath(context.libraryPath)]],
    ["read", config ? [...configFile, ...HOST_FACTS.read] : []],
    ["env", context.env],
    ["sys", config ? HOST_FACTS.sys : []],
  ];
  return flags.filter(([, values]) => values.length > 0).map(([name, values]) => `--allow-${name}=${values.join(",")}`);
}

/** `host:port` of the collector and of the listeners. */
function networkPeers(config: Config): string[] {
  const listeners = [config.api, config.metrics].filter(({ enabled }) => enabled);
  const peers = listeners.map(({ listenAddress, port }) => `${bracketed(listenAddress)}:${port}`);
  if (config.export.otlp) {
    const url = new URL(config.export.otlp.endpoint);
    peers.unshift(`${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`);
  }
  return [...new Set(peers)];
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** Deno's flags separate paths by commas and have no way to write one; the launcher reads one flag a line. */
function flagPath(path: string): string {
  if (!/[,\n]/.test(path)) return path;
  throw new ConfigError([`Cannot permit "${path}": Deno's permissions cannot name a path with a comma; rename it`]);
}
