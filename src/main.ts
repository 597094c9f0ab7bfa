/** The program: arguments, configuration, agent, and the only place that exits. */

import { fileURLToPath } from "node:url";
import { Agent, PIN_ROOT } from "./agent.ts";
import { openLoader } from "./capture/ffi_loader.ts";
import { type Loader, LoaderError } from "./capture/mod.ts";
import { answer } from "./cli/answer.ts";
import { type Arguments, parseArguments } from "./cli/arguments.ts";
import { runCleanup } from "./cli/cleanup.ts";
import { EXIT_FAILURE, explain } from "./cli/output.ts";
import { type PermissionsIo, runPermissions, showPermissions } from "./cli/permissions.ts";
import { runToEnd, untilSignal } from "./cli/run.ts";
import { hclParser, readConfigFile } from "./config/mod.ts";
import { createExporters } from "./export/create.ts";
import { Log, type Logger, resolveLogFormat, writeToStderr } from "./log.ts";
import { readHostFacts, resourceAttributes } from "./resource.ts";
import { type Config, loadConfig, type LoadedConfig } from "./settings.ts";
import { VERSION } from "./version.ts";

const libraryPath = fileURLToPath(new URL("libmermin_loader.so", import.meta.url));
const env = (name: string) => Deno.env.get(name);

const io: PermissionsIo = {
  print: (text) => {
    Deno.stdout.writeSync(new TextEncoder().encode(text));
  },
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
    parse: hclParser((source) => loader.parseConfig(source)),
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
  const agent = createAgent(args, loader, loaded, logger);
  const signal = untilSignal(Deno.addSignalListener, () => Deno.exit(EXIT_FAILURE), logger);
  const code = await runToEnd(agent, signal, logger);
  log.flush();
  return code;
}

function createAgent(args: Arguments, loader: Loader, { config, path }: LoadedConfig, logger: Logger): Agent {
  const warn = (text: string) => logger.warn("host_facts", text);
  const attach = env("MERMIN_ATTACH");
  const isTerminal = Deno.stdout.isTerminal();
  const resource = resourceAttributes({
    version: VERSION,
    instanceId: crypto.randomUUID(),
    host: readHostFacts(warn),
    serviceName: env("OTEL_SERVICE_NAME"),
    resourceAttributes: env("OTEL_RESOURCE_ATTRIBUTES"),
  }, warn);
  return new Agent({
    config,
    instance: args.instance,
    loader,
    exporters: createExporters({
      config: config.export,
      resource,
      scope: { name: "mermin", version: VERSION },
      stdout: { writer: Deno.stdout, isTerminal, useColors: isTerminal && !Deno.noColor },
      logger,
    }),
    logger,
    isInteractive: isTerminal || Deno.stderr.isTerminal(),
    portsAreOptional: path === undefined,
    attachMode: attach === "tcx" || attach === "clsact" ? attach : "auto",
  });
}

async function main(argv: readonly string[]): Promise<number> {
  // The launcher puts this word in front of the user's arguments; his own `permissions` comes behind it.
  if (argv[0] === "permissions") return runPermissions(argv.slice(1), io);
  const args = parseArguments(argv, env);
  switch (args.command) {
    case "run":
      return await runAgent(args, openLoader(libraryPath));
    case "cleanup":
      return runCleanup(args, openLoader(libraryPath), PIN_ROOT, io);
    default:
      return answer(args, io) ?? showPermissions(args, io);
  }
}

try {
  Deno.exit(await main(Deno.args));
} catch (error) {
  if (error instanceof LoaderError) {
    io.error(`mermin: ${error.message}\n`);
    Deno.exit(EXIT_FAILURE);
  }
  Deno.exit(explain(error, io));
}
