import { ConfigError } from "../config/mod.ts";
import type { Logger } from "../log.ts";
import type { Need } from "../permissions.ts";
import type { Config, LoadedConfig, Settings } from "../settings.ts";
import { withSettingOf } from "./changes.ts";
import { planReload } from "./plan.ts";
import { GROUP_OF, type Step } from "./rules.ts";

/** How a reload ended: all applied, some of it waits for a restart, something is wrong, or nothing is new. */
export const RELOAD_STATUS = ["ok", "restart_needed", "error", "unchanged"] as const;
export type ReloadStatus = typeof RELOAD_STATUS[number];
export type ReloadCounts = Record<ReloadStatus, number>;

export interface ReloaderOptions {
  /** What runs now. */
  settings: Settings;
  /** Reads the configuration anew. @throws {ConfigError} */
  load: () => LoadedConfig;
  /** Makes the running agent do what `config` says, as far as `steps` name it; resolves to why steps failed, by step. */
  apply: (config: Config, steps: ReadonlySet<Step>) => Promise<ReadonlyMap<Step, string>>;
  isGranted: (need: Need) => boolean;
  /** Counts what became of each reload. */
  counts: ReloadCounts;
  logger: Logger;
}

/** Counts of no reload. */
export function newReloadCounts(): ReloadCounts {
  return { ok: 0, restart_needed: 0, error: 0, unchanged: 0 };
}

/** Applies changed configurations, one after the other; a bad one changes nothing. */
export class Reloader {
  readonly #options: ReloaderOptions;
  #settings: Settings;
  #last: Promise<void> = Promise.resolve();

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#settings = options.settings;
  }

  /** Reads and applies the configuration, after the reload that is under way; `why` is for the log. Never rejects. */
  reload(why: string): Promise<void> {
    this.#last = this.#last.then(() => this.#reload(why)).then((status) => {
      this.#options.counts[status]++;
    });
    return this.#last;
  }

  async #reload(why: string): Promise<ReloadStatus> {
    const { load, logger, isGranted } = this.#options;
    let loaded: LoadedConfig;
    try {
      loaded = load();
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems : [String(error)];
      const text = `${why}: the configuration cannot be used, the old one goes on: ${problems.join("; ")}`;
      logger.error("reload_refused", text, { problems: problems.length });
      return "error";
    }
    for (const warning of loaded.warnings) logger.warn("config_warning", warning);
    for (const setting of loaded.notYet) logger.info("config_not_yet", setting);
    const plan = planReload(this.#settings, loaded.settings, isGranted);
    const { waiting } = plan;
    if (plan.applied.length + waiting.length === 0) {
      logger.info("reload_unchanged", `${why}: nothing in the configuration has changed`);
      return "unchanged";
    }
    const hasFailed = await this.#apply(plan, why);
    if (waiting.length > 0) {
      logger.warn("restart_needed", `a restart is needed for ${waiting.join(", ")}; until then the old values hold`);
    }
    if (hasFailed) return "error";
    return waiting.length > 0 ? "restart_needed" : "ok";
  }

  async #apply({ settings, config, steps, applied }: ReturnType<typeof planReload>, why: string): Promise<boolean> {
    const { apply, logger } = this.#options;
    const failed = await apply(config, steps);
    for (const [step, reason] of failed) {
      const group = GROUP_OF[step];
      if (group !== undefined) settings = withSettingOf(settings, this.#settings, group);
      logger.error("reload_failed", `the old ${group ?? step} goes on: ${reason}`, { setting: group ?? step });
    }
    this.#settings = settings;
    if (failed.size === 0 && applied.length > 0) {
      logger.info("reloaded", `${why}: applied ${applied.join(", ")}`, { settings: applied.length });
    }
    return failed.size > 0;
  }
}
