/** The program: arguments, configuration, agent, and the only place that exits. */

import { Agent, PIN_ROOT } from "./agent.ts";
import { openLoader } from "./capture/ffi_loader.ts";
import { type Loader, LoaderError } from "./capture/mod.ts";
import { type Arguments, HELP, parseArguments } from "./cli/arguments.ts";
import { explain } from "./cli/output.ts";
import { runPermissions } from "./cli/permissions.ts";
import { hclParser } from "./config/mod.ts";
import { Log, type Logger, resolveLogFormat, writeToStderr } from "./log.ts";
import { readHostFacts, resourceAttributes } from "./resource.ts";
import { type Config, loadConfig, type LoadedConfig } from "./settings.ts";
import { VERSION } from "./version.ts";

const EXIT_FAILURE = 1;

const output = {
  print: (text: string) => {
    Deno.stdout.writeSync(new TextEncoder().encode(text));
  },
  error: writeToStderr,
};

const libraryPath = new URL("libmermin_loader.so", import.meta.url).pathname;
const env = (name: string) => Deno.env.get(name);

function load(loader: Loader, args: Arguments): LoadedConfig {
  const loaded = loadConfig({
    path: args.configPath,
    readFile: (path) => Deno.readTextFileSync(path),
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
  const { config, warnings, notYet } = load(loader, args);
  const log = new Log({
    level: config.logLevel,
    format: resolveLogFormat(config.logFormat, Deno.stderr.isTerminal()),
    write: writeToStderr,
    now: Date.now,
  });
  const logger = log.logger();
  for (const warning of warnings) logger.warn("config_warning", warning);
  for (const setting of notYet) logger.info("config_not_yet", setting);
  const agent = createAgent(args, loader, config, logger);
  const signal = untilSignal(logger);
  let code = 0;
  try {
    await agent.start();
    await Promise.race([agent.run(), signal]);
  } catch (error) {
    code = EXIT_FAILURE;
    logger.error("failed", error instanceof Error ? error.message : String(error));
    if (error instanceof LoaderError && error.verifierLog) logger.debug("verifier_log", error.verifierLog);
  }
  await agent.stop();
  log.flush();
  return code;
}

function createAgent(args: Arguments, loader: Loader, config: Config, logger: Logger): Agent {
  const warn = (text: string) => logger.warn("host_facts", text);
  const attach = env("MERMIN_ATTACH");
  return new Agent({
    config,
    instance: args.instance,
    loader,
    logger,
    resource: resourceAttributes({
      version: VERSION,
      instanceId: crypto.randomUUID(),
      host: readHostFacts(warn),
      serviceName: env("OTEL_SERVICE_NAME"),
      resourceAttributes: env("OTEL_RESOURCE_ATTRIBUTES"),
    }, warn),
    stdout: Deno.stdout,
    useColors: Deno.stdout.isTerminal() && !Deno.noColor,
    attachMode: attach === "tcx" || attach === "clsact" ? attach : "auto",
  });
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilSignal(logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    let seen = false;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => {
        if (seen) Deno.exit(EXIT_FAILURE);
        seen = true;
        logger.info("stopping", `${signal}: closing flows and sending what is queued; once more ends at once`);
        resolve();
      });
    }
  });
}

function cleanup(args: Arguments, loader: Loader): number {
  const { instances, attachments } = loader.cleanup({
    pinRoot: PIN_ROOT,
    instance: args.instanceGiven ? args.instance : "",
  });
  const what = instances.length === 0 ? "nothing of ours was left" : `removed ${instances.join(", ")}`;
  output.print(`${what} (${attachments} attachments)\n`);
  return 0;
}

async function main(argv: readonly string[]): Promise<number> {
  const loader = openLoader(libraryPath);
  if (argv[0] === "permissions") {
    return runPermissions(argv.slice(1), {
      ...output,
      env,
      load: (args) => load(loader, args),
      libraryPath,
      version: VERSION,
    });
  }
  const args = parseArguments(argv, env);
  if (args.command === "cleanup") return cleanup(args, loader);
  if (args.command === "run") return await runAgent(args, loader);
  output.print(HELP);
  return 0;
}

try {
  Deno.exit(await main(Deno.args));
} catch (error) {
  if (error instanceof LoaderError) {
    output.error(`mermin: ${error.message}\n`);
    Deno.exit(EXIT_FAILURE);
  }
  Deno.exit(explain(error, output));
}
