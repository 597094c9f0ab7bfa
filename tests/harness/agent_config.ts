/** Config files for the agent under test. */

import type { End } from "./netns.ts";

export type SpanSetting =
  | "max_record_interval"
  | "generic_timeout"
  | "icmp_timeout"
  | "tcp_timeout"
  | "tcp_fin_timeout"
  | "tcp_rst_timeout"
  | "udp_timeout"
  | "trace_id_timeout";

/** More settings of `otlp` by name: numbers, durations, groups. */
export type OtlpLimits = Record<string, string | number | Record<string, string>>;

export type Protocol = "grpc" | "http_binary" | "http_json";

/** What a test wants of its agent; the rest has the product's defaults. */
export interface AgentSettings {
  /** The interface to watch, in its namespace, and patterns of more. */
  watch: { interfaceName: string; namespacePath: string; patterns?: string[] };
  otlp?: {
    endpoint: string;
    protocol: Protocol;
    limits?: OtlpLimits;
  };
  /** Durations such as `2s`. */
  span?: Partial<Record<SpanSetting, string>>;
  /** Entries of the kernel's flow table. */
  capacity?: number;
  pollInterval?: string;
  onExit?: "auto" | "keep" | "detach";
  /** Spans wait at most so long for a full batch. */
  maxBatchInterval?: string;
  /** Of clsact filters. */
  tcPriority?: number;
  tcxOrder?: "first" | "last";
  /** More HCL, at the end. */
  extra?: string;
  apiPort?: number;
  metricsPort?: number;
  /** More settings of `metrics`. */
  metricsExtra?: string;
}

/** Watches one end of a test's network. */
export function watch(end: End): AgentSettings["watch"] {
  return { interfaceName: end.interfaceName, namespacePath: end.namespace.path };
}

/** The config file as HCL. */
export function agentConfig(settings: AgentSettings): string {
  const { otlp, span = {}, capacity = 100_000, pollInterval = "200ms", onExit = "detach" } = settings;
  const exporter = otlp
    ? `
export "traces" {
  otlp = {
    endpoint = "${otlp.endpoint}"
    protocol = "${otlp.protocol}"
    max_batch_interval = "${settings.maxBatchInterval ?? "200ms"}"
${Object.entries(otlp.limits ?? {}).map(([name, value]) => `    ${name} = ${JSON.stringify(value)}`).join("\n")}
  }
}`
    : "";
  return `
log_level = "info"
log_format = "text"
on_exit = "${onExit}"

discovery "instrument" {
  interfaces = ${JSON.stringify([settings.watch.interfaceName, ...settings.watch.patterns ?? []])}
  network_namespace = "${settings.watch.namespacePath}"
  tc_priority = ${settings.tcPriority ?? 1}
  tcx_order = "${settings.tcxOrder ?? "first"}"
}

pipeline {
  flow_capture { flow_stats_capacity = ${capacity} }
  flow_producer { flow_store_poll_interval = "${pollInterval}" }
}

span {
${Object.entries(span).map(([name, value]) => `  ${name} = "${value}"`).join("\n")}
}
${exporter}

api {
  listen_address = "127.0.0.1"
  port = ${settings.apiPort}
}

metrics {
  listen_address = "127.0.0.1"
  port = ${settings.metricsPort}
  ${settings.metricsExtra ?? ""}
}
${settings.extra ?? ""}
`;
}
