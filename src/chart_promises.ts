/** What the Helm chart has promised of a pod: ports of the servers, the network that it is in, and its time to stop. */

import type { Node, Reading, ValueOf } from "./config/mod.ts";
import type { apiSettings, metricsSettings } from "./server/config.ts";

/** Variables that the chart sets. */
export const CHART_VARIABLES = {
  api: "MERMIN_EXPECTED_API_PORT",
  metrics: "MERMIN_EXPECTED_METRICS_PORT",
  hostNetwork: "MERMIN_EXPECTED_HOST_NETWORK",
  graceSeconds: "MERMIN_EXPECTED_GRACE_SECONDS",
} as const;

/** Both spellings of a server, in a file. */
const GROUPS = { api: ["api", "internal.server"], metrics: ["metrics", "internal.metrics"] } as const;
const KUBELET_PORT = 10250;
/** What the chart leaves between the end of a stop and the kill, by default. */
const SPARE_SECONDS = 12;

/** The part of a configuration that the chart promises something of. */
interface Promised {
  readonly api: ValueOf<typeof apiSettings>;
  readonly metrics: ValueOf<typeof metricsSettings>;
  readonly shutdownTimeoutMs: number;
}
type Environment = (name: string) => string | undefined;

/** Reports where a file says other than the variables; without these there is nothing to expect. */
export function checkPromises(promised: Promised, env: Environment, node: Node, at: Reading): void {
  for (const server of ["api", "metrics"] as const) checkServer(server, promised[server], env, node, at);
  const seconds = env(CHART_VARIABLES.graceSeconds);
  if (!seconds || promised.shutdownTimeoutMs < Number(seconds) * 1000) return;
  const value = "the chart's value terminationGracePeriodSeconds";
  const enough = Math.ceil(promised.shutdownTimeoutMs / 1000) + SPARE_SECONDS;
  const text = `a stop may take that long, but the pod is killed after ${seconds} s, ${value}; make this shorter, or ` +
    `helm … --set terminationGracePeriodSeconds=${enough}`;
  at.complain(["shutdown_timeout"], node, text);
}

function checkServer(
  server: "api" | "metrics",
  { port, enabled, listenAddress }: Promised["api"],
  env: Environment,
  node: Node,
  at: Reading,
): void {
  const expected = env(CHART_VARIABLES[server]);
  if (!expected) return;
  const report = (setting: string, text: string) =>
    at.complain(GROUPS[server].map((group) => `${group}.${setting}`), node, text);
  if (enabled && String(port) !== expected) {
    const what = `the server would listen on ${port}, but the chart's value ports.${server} is ${expected}`;
    report("port", `${what}; make them the same: port = ${expected} here, or helm … --set ports.${server}=${port}`);
  } else if (enabled && port === KUBELET_PORT && env(CHART_VARIABLES.hostNetwork) === "true") {
    const other = `set another one here and as the chart's value ports.${server}`;
    const off = server === "metrics" ? ", or enabled = false" : "";
    report("port", `with hostNetwork this is the port of the node's kubelet; ${other}${off}`);
  }
  // Nothing fails for want of metrics; without the probes' answers a pod is never ready.
  if (server === "api" && !enabled) report("enabled", "the probes of the chart need this server; leave it on");
  if (server === "api" && isLoopback(listenAddress)) {
    report("listen_address", "the probes of the chart come from outside of the pod; leave it at 0.0.0.0");
  }
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}
