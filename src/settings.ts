/** The whole configuration: which component's table stands where in the file, and what the agent gets of it. */

import { flowCaptureSettings, parserSettings } from "./capture/config.ts";
import { CHART_VARIABLES, checkPromises } from "./chart_promises.ts";
import {
  bool,
  choice,
  type ConfigSources,
  duration,
  group,
  labelled,
  load,
  optional,
  override,
  type Setting,
  type ValueOf,
  walk,
} from "./config/mod.ts";
import { otlpSettings } from "./export/otlp/config.ts";
import { stdoutSettings } from "./export/stdout/config.ts";
import { filterSettings } from "./filter/config.ts";
import { flowProducerSettings, spanSettings } from "./flow/config.ts";
import { instrumentSettings } from "./interfaces/config.ts";
import { attributesSettings, decoratorSettings, informerSettings } from "./kubernetes/config.ts";
import { apiSettings, metricsSettings } from "./server/config.ts";
import { ownTracesSettings } from "./traces/config.ts";

const tracesSettings = group("Where records go; standard output when nothing is named.", {
  stdout: optional(stdoutSettings),
  otlp: optional(otlpSettings),
});

/** The table of all tables. */
export const settings = group("The whole file.", {
  log_level: override(
    { env: "MERMIN_LOG_LEVEL", flag: "log-level" },
    choice(["trace", "debug", "info", "warn", "error"], "info", "Least important messages that are logged.", {
      synonyms: { warning: "warn" },
    }),
  ),
  log_format: choice(
    ["auto", "text", "json"],
    "auto",
    "How messages are logged; auto means text on a terminal and json elsewhere.",
  ),
  auto_reload: override(
    { env: "MERMIN_CONFIG_AUTO_RELOAD", flag: "auto-reload" },
    bool(false, "Whether a changed file is applied while the agent runs; SIGHUP does the same."),
  ),
  on_exit: choice(
    ["auto", "keep", "detach"],
    "auto",
    "What stays in the kernel after a stop; auto detaches unless a successor can be expected.",
  ),
  shutdown_timeout: duration("28s", "Time in which a stop closes the flows and sends what is queued.", { max: "1h" }),
  discovery: labelled("What is watched.", {
    instrument: instrumentSettings,
    informer: labelled("What is watched outside of the host.", { k8s: informerSettings }),
  }),
  attributes: attributesSettings,
  filter: filterSettings,
  parser: parserSettings,
  pipeline: group("Sizes and intervals of the steps that a flow goes through.", {
    flow_capture: flowCaptureSettings,
    flow_producer: flowProducerSettings,
    k8s_decorator: decoratorSettings,
  }),
  span: spanSettings,
  export: labelled("Where records go.", { traces: tracesSettings }),
  api: optional(apiSettings),
  metrics: optional(metricsSettings),
  internal: labelled("The later spelling of api and metrics, and the agent's own traces.", {
    server: optional(apiSettings),
    metrics: optional(metricsSettings),
    traces: optional(ownTracesSettings),
  }),
}, {
  check(value, complain) {
    const { api, metrics, internal } = value;
    if (api && internal.server) complain(["internal.server"], "api is given as well; they are the same, keep one");
    if (metrics && internal.metrics) {
      complain(["internal.metrics"], "metrics is given as well; they are the same, keep one");
    }
    const servers = arrange(value);
    if (samePort(servers.api, servers.metrics)) {
      complain(
        ["metrics.port", "internal.metrics.port", "api.port", "internal.server.port"],
        `the api and the metrics server cannot share port ${servers.api.port}; give one of them another`,
      );
    }
  },
});

function samePort(a: ValueOf<typeof apiSettings>, b: ValueOf<typeof apiSettings>): boolean {
  const everywhere = (address: string) => address === "0.0.0.0" || address === "::";
  const sameAddress = a.listenAddress === b.listenAddress || everywhere(a.listenAddress) || everywhere(b.listenAddress);
  return a.enabled && b.enabled && a.port === b.port && sameAddress;
}

/** The whole file as it was read, with its defaults. */
export type Settings = ValueOf<typeof settings>;

/** The same with `api` and `metrics` under these names, whichever spelling the file has. */
function inOneSpelling(file: Settings): Settings {
  return {
    ...file,
    api: file.api ?? file.internal.server ?? apiSettings.default,
    metrics: file.metrics ?? file.internal.metrics ?? metricsSettings.default,
    internal: { ...file.internal, server: undefined, metrics: undefined },
  };
}

/** Both spellings of a setting as one, each group where its component finds it, and standard output if nothing is named. */
export function arrange(file: Settings) {
  const { stdout, otlp } = file.export.traces;
  return {
    logLevel: file.logLevel,
    logFormat: file.logFormat,
    autoReload: file.autoReload,
    onExit: file.onExit,
    shutdownTimeoutMs: file.shutdownTimeoutMs,
    instrument: file.discovery.instrument,
    informer: file.discovery.informer.k8s,
    attributes: file.attributes,
    filter: file.filter,
    parser: file.parser,
    pipeline: { ...file.pipeline.flowCapture, ...file.pipeline.flowProducer, ...file.pipeline.k8sDecorator },
    span: file.span,
    export: stdout || otlp ? { stdout, otlp } : { stdout: stdoutSettings.default, otlp },
    api: file.api ?? file.internal.server ?? apiSettings.default,
    metrics: file.metrics ?? file.internal.metrics ?? metricsSettings.default,
    ownTraces: file.internal.traces,
  };
}

/** What the agent is told to do. */
export type Config = ReturnType<typeof arrange>;

/** Environment variables that the program reads; those in `env()` of a file are read by the native library. */
export function environmentNames(): string[] {
  const names = [...walk(settings)].flatMap(([, setting]) => setting.env ?? []);
  return [
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "MERMIN_ALLOW_NET",
    "MERMIN_ATTACH",
    "MERMIN_CONFIG_PATH",
    "MERMIN_INSTANCE",
    "NODE_NAME",
    "POD_NAME",
    "POD_NAMESPACE",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    ...Object.values(CHART_VARIABLES),
    ...names,
  ];
}

/** A configuration that was read without a mistake; see `Loaded` for the rest. */
export interface LoadedConfig {
  readonly config: Config;
  /** What `config` was made of; a reload compares it. */
  readonly settings: Settings;
  readonly path?: string;
  readonly warnings: readonly string[];
  readonly notYet: readonly string[];
}

/**
 * Reads the configuration from all of its sources.
 *
 * @throws {ConfigError} with everything that is wrong with it
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const table: Setting<Settings> = {
    ...settings,
    read(node, at) {
      const file = settings.read(node, at);
      if (at.findings.problems.length === 0) checkPromises(arrange(file), sources.env, node, at);
      return file;
    },
  };
  const { value, ...rest } = load(table, sources);
  return { config: arrange(value), settings: inOneSpelling(value), ...rest };
}
