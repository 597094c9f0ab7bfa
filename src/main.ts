/** The program: arguments, configuration, agent, and the only place that exits. */

import { fileURLToPath } from "node:url";
import { Agent, type AgentOptions } from "./agent.ts";
import { openLoader } from "./capture/ffi_loader.ts";
import { type Loader, LoaderError } from "./capture/mod.ts";
import { answer } from "./cli/answer.ts";
import { type Arguments, parseArguments } from "./cli/arguments.ts";
import { runCleanup } from "./cli/cleanup.ts";
import { runDiagnose } from "./cli/diagnose.ts";
import { EXIT_FAILURE, explain, writeToStdout } from "./cli/output.ts";
import { type PermissionsIo, runPermissions, showPermissions } from "./cli/permissions.ts";
import { runToEnd, untilSignal } from "./cli/run.ts";
import { configParser, readConfigFile } from "./config/mod.ts";
import { createExporters } from "./export/create.ts";
import { oneAtATime } from "./export/stdout/mod.ts";
import { AccessError } from "./kubernetes/api/access.ts";
import type { KubeconfigIo } from "./kubernetes/api/kubeconfig.ts";
import { openCluster, yamlReader } from "./kubernetes/open.ts";
import { longestWindowMs } from "./flow/timeouts.ts";
import { createHistograms } from "./metrics/histograms.ts";
import { PIN_ROOT } from "./limits.ts";
import { Log, resolveLogFormat, writeToStderr } from "./log.ts";
import { newReloadCounts } from "./reload/reloader.ts";
import { startReloading } from "./reload/reloading.ts";
import { readHostFacts, resourceAttributes } from "./resource.ts";
import { type Config, loadConfig, type LoadedConfig } from "./settings.ts";
import { createTracer } from "./traces/tracer.ts";
import { VERSION } from "./version.ts";

const libraryPath = fileURLToPath(new URL("libmermin_loader.so", import.meta.url));
const env = (name: string) => Deno.env.get(name);

const kubeconfigIo: KubeconfigIo = {
  env,
  readText: Deno.readTextFileSync,
  parseYaml: (text) =>
    yamlReader(configParser((source, format) => openLoader(libraryPath).parseConfig(source, format)))(text),
};

const io: PermissionsIo = {
  kubeconfig: {
    ...kubeconfigIo,
    mayRead: (path) => Deno.permissions.querySync({ name: "read", path }).state === "granted",
  },
  print: writeToStdout,
  error: writeToStderr,
  env,
  load: (args) => load(openLoader(libraryPath), args),
  libraryPath,
  version: VERSION,
};

function load(loader: Loader, args: Arguments): LoadedConfig {
  const loaded = loadConfig({
    path: args.configPath,
    readFile: readConfigFile,
    parse: configParser((source, format) => loader.parseConfig(source, format)),
    env,
    flags: args.flags,
  });
  return loaded.path === undefined ? { ...loaded, config: watchHost(loaded.config, args) } : loaded;
}

/** With no file and no flag there is no cluster to think of: all interfaces but the loopback are watched. */
function watchHost(config: Config, args: Arguments): Config {
  if (args.flags.interface !== undefined) return config;
  return { ...config, instrument: { ...config.instrument, interfaces: ["/^(?!lo$)/"] } };
}

async function runAgent(args: Arguments, loader: Loader): Promise<number> {
  const loaded = load(loader, args);
  const { config, warnings, notYet } = loaded;
  const log = new Log({
    level: config.logLevel,
    format: resolveLogFormat(config.logFormat, Deno.stderr.isTerminal()),
    write: writeToStderr,
    now: Date.now,
  });
  const logger = log.logger();
  for (const warning of warnings) logger.warn("config_warning", warning);
  for (const setting of notYet) logger.info("config_not_yet", setting);
  const stdoutClosed = Promise.withResolvers<void>();
  const counts = newReloadCounts();
  const onStdoutClosed = () => {
    // A reload may have given the flows another way out.
    const isAlone = agent.config.export.otlp === undefined;
    if (isAlone) stdoutClosed.resolve();
    return isAlone;
  };
  const agent: Agent = await createAgent(args, { config, loader, logger, reloads: counts, onStdoutClosed });
  const reloading = startReloading({ loaded, load: () => load(loader, args), agent, log, counts });
  const actions = { endNow: () => Deno.exit(EXIT_FAILURE), reload: () => reloading.hangUp() };
  const signal = untilSignal(Deno.addSignalListener, actions, logger);
  const code = await runToEnd(agent, Promise.race([signal, stdoutClosed.promise]), logger);
  reloading.stop();
  log.flush();
  return code;
}

async function createAgent(
  args: Arguments,
  { onStdoutClosed, ...given }: Pick<AgentOptions, "config" | "loader" | "logger" | "reloads"> & {
    onStdoutClosed: () => boolean;
  },
): Promise<Agent> {
  const { config, loader, logger } = given;
  const warn = (text: string) => logger.warn("host_facts", text);
  const isTerminal = Deno.stdout.isTerminal();
  const histograms = createHistograms(config.metrics.histogramBuckets);
  const cluster = await openCluster({
    informer: config.informer,
    directions: config.attributes,
    maxWindowMs: longestWindowMs(config.span),
    logger: logger.child("kubernetes"),
    indexSeconds: histograms.clusterIndex,
    decoratorSeconds: histograms.decoratorOut,
    trim: () => loader.trim(),
    io: kubeconfigIo,
  });
  const stdout = {
    writer: oneAtATime(Deno.stdout),
    isTerminal,
    useColors: isTerminal && !Deno.noColor,
    onClosed: onStdoutClosed,
  };
  const scope = { name: "mermin", version: VERSION };
  const outputs = async () => {
    const resource = resourceAttributes({
      version: VERSION,
      instanceId: crypto.randomUUID(),
      host: readHostFacts(() => loader.addresses(config.instrument.networkNamespace), warn),
      cluster: await cluster?.identify({ ...kubeconfigIo, hostname: Deno.hostname }),
      serviceName: env("OTEL_SERVICE_NAME"),
      resourceAttributes: env("OTEL_RESOURCE_ATTRIBUTES"),
    }, warn);
    if (cluster) cluster.name = String(resource["k8s.cluster.name"] ?? "");
    const createExportersOf = (config: Config["export"]) =>
      createExporters({ config, resource, scope, stdout, logger, measures: histograms });
    return {
      exporters: createExportersOf(config.export),
      createExporters: createExportersOf,
      tracer: createTracer({ config: config.ownTraces, resource, scope, writer: stdout.writer, logger }),
    };
  };
  return new Agent({
    ...given,
    instance: args.instance,
    outputs,
    histograms,
    cluster,
    isInteractive: isTerminal || Deno.stderr.isTerminal(),
    attachMode: args.attachMode,
  });
}

function diagnose(args: Arguments, loader: Loader): Promise<number> {
  const { config, path } = load(loader, args);
  const configured = path === undefined ? undefined : config.instrument;
  return runDiagnose({ ...args.diagnose!, configured }, loader, PIN_ROOT, io);
}

async function main(argv: readonly string[]): Promise<number> {
  // The launcher puts this word in front of the user's arguments; his own `permissions` comes behind it.
  if (argv[0] === "permissions") return runPermissions(argv.slice(1), io);
  const args = parseArguments(argv, env);
  switch (args.command) {
    case "run":
      return await runAgent(args, openLoader(libraryPath));
    case "diagnose":
      return await diagnose(args, openLoader(libraryPath));
    case "cleanup":
      return runCleanup(args, openLoader(libraryPath), PIN_ROOT, io);
    default:
      return answer(args, io) ?? showPermissions(args, io);
  }
}

try {
  Deno.exit(await main(Deno.args));
} catch (error) {
  if (error instanceof LoaderError || error instanceof AccessError) {
    io.error(`mermin: ${error.message}\n`);
    Deno.exit(EXIT_FAILURE);
  }
  Deno.exit(explain(error, io));
}
