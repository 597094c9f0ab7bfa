/** What a change of each setting takes. */

/** A part of the running agent that takes new settings. */
export type Step = "log" | "watch" | "stop" | "interfaces" | "producer" | "filter" | "export" | "api" | "metrics";

/** A step; `restart`: only the next start can do it; `none`: the setting has no effect in this version. */
export type Rule = Step | "restart" | "none";

/** By the path of a setting or of a group that has it; the longest path that fits decides. */
export const RULES: Readonly<Record<string, Rule>> = {
  log_level: "log",
  log_format: "log",
  auto_reload: "watch",
  on_exit: "stop",
  shutdown_timeout: "stop",
  "discovery.instrument": "restart",
  "discovery.instrument.interfaces": "interfaces",
  "discovery.instrument.auto_discover_interfaces": "interfaces",
  "discovery.informer": "restart",
  attributes: "restart",
  filter: "filter",
  parser: "none",
  "parser.key_scope": "restart",
  "pipeline.flow_capture": "restart",
  "pipeline.flow_producer": "producer",
  "pipeline.flow_producer.workers": "none",
  "pipeline.flow_producer.worker_queue_capacity": "none",
  "pipeline.k8s_decorator": "producer",
  span: "producer",
  "span.community_id_seed": "restart",
  "span.trace_id_timeout": "restart",
  "export.traces": "export",
  api: "api",
  metrics: "metrics",
  "metrics.histogram_buckets": "restart",
  internal: "restart",
};

/** Where the settings of a step stand whose change may fail, so that all of them can be put back. */
export const GROUP_OF: Readonly<Partial<Record<Step, string>>> = {
  export: "export.traces",
  api: "api",
  metrics: "metrics",
  interfaces: "discovery.instrument",
  filter: "filter",
};

/** The rule for the setting at `path`. @throws {Error} for a path that the table does not cover */
export function ruleOf(path: string): Rule {
  const names = path.split(".");
  for (let length = names.length; length > 0; length--) {
    const rule = RULES[names.slice(0, length).join(".")];
    if (rule !== undefined) return rule;
  }
  throw new Error(`No rule says what a change of ${path} takes; add one to src/reload/rules.ts`);
}
