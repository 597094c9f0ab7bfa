import { type Log, resolveLogFormat } from "../log.ts";
import { isGranted } from "../permissions.ts";
import type { Config, LoadedConfig } from "../settings.ts";
import { fileState, FileWatch } from "./file_watch.ts";
import { type ReloadCounts, Reloader } from "./reloader.ts";
import type { Step } from "./rules.ts";

export interface ReloadingOptions {
  /** What runs now. */
  loaded: LoadedConfig;
  /** Reads the configuration anew. @throws {ConfigError} */
  load: () => LoadedConfig;
  agent: { apply(config: Config, steps: ReadonlySet<Step>): Promise<ReadonlyMap<Step, string>> };
  log: Log;
  counts: ReloadCounts;
}

/** Reloading at SIGHUP, and when the file changes if `auto_reload` says so. */
export interface Reloading {
  /** Handles a hang-up; false when it asks for the end, because there is no file to reload or the terminal is gone. */
  hangUp(): boolean;
  stop(): void;
}

/** Begins to watch the file if there is one and the configuration says so. */
export function startReloading({ loaded, load, agent, log, counts }: ReloadingOptions): Reloading {
  const { path, config, settings } = loaded;
  const logger = log.logger("config");
  if (path === undefined) {
    if (config.autoReload) logger.warn("config_warning", "auto_reload has no effect: there is no configuration file");
    return { hangUp: () => false, stop: () => {} };
  }
  const hasTerminal = Deno.stderr.isTerminal();
  const watch = new FileWatch({
    look: () => fileState(path),
    onChange: () => void reloader.reload(`${path} has changed`),
  });
  const setWatching = (isOn: boolean) => isOn ? watch.start() : watch.stop();
  const reloader = new Reloader({
    settings,
    load,
    apply: async (config, steps) => {
      log.setLevel(config.logLevel);
      log.setFormat(resolveLogFormat(config.logFormat, hasTerminal));
      setWatching(config.autoReload);
      return await agent.apply(config, steps);
    },
    isGranted,
    counts,
    logger,
  });
  setWatching(config.autoReload);
  return {
    hangUp() {
      const isTerminalGone = hasTerminal && !Deno.stderr.isTerminal();
      if (!isTerminalGone) reloader.reload("SIGHUP");
      return !isTerminalGone;
    },
    stop: () => watch.stop(),
  };
}
