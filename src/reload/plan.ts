/** Decides what of a changed configuration can be applied while the agent runs. */

import { type Need, needsOf } from "../permissions.ts";
import { arrange, type Config, type Settings } from "../settings.ts";
import { changedSettings, withSettingOf } from "./changes.ts";
import { GROUP_OF, ruleOf, type Step } from "./rules.ts";

/** What a reload does. */
export interface Plan {
  /** What holds afterwards: the new configuration, without what needs a restart. */
  readonly settings: Settings;
  readonly config: Config;
  readonly steps: ReadonlySet<Step>;
  /** Settings that changed and are applied. */
  readonly applied: readonly string[];
  /** Settings that changed and wait for the next start; with the reason where it is not the setting itself. */
  readonly waiting: readonly string[];
}

/** `isGranted` tells whether this process has a permission: Deno's are fixed at the start. */
export function planReload(before: Settings, after: Settings, isGranted: (need: Need) => boolean): Plan {
  const changed = changedSettings(before, after).filter((path) => ruleOf(path) !== "none");
  const waiting = changed.filter((path) => ruleOf(path) === "restart");
  let settings = waiting.reduce((result, path) => withSettingOf(result, before, path), after);
  const reasons = new Map<Step, string>();
  for (const need of needsOf(arrange(settings))) {
    if (!reasons.has(need.step) && !isGranted(need)) reasons.set(need.step, reasonOf(need));
  }
  const applied: string[] = [];
  const steps = new Set<Step>();
  for (const path of changed) {
    const rule = ruleOf(path);
    if (rule === "restart" || rule === "none") continue;
    const reason = reasons.get(rule);
    if (reason === undefined) {
      applied.push(path);
      steps.add(rule);
    } else waiting.push(`${path} (${reason})`);
  }
  for (const step of reasons.keys()) settings = withSettingOf(settings, before, GROUP_OF[step]!);
  return { settings, config: arrange(settings), steps, applied, waiting };
}

function reasonOf({ permission, value }: Need): string {
  return permission === "net"
    ? `this process may not use ${value}: it was not started for it, nor with MERMIN_ALLOW_NET=${value}`
    : `this process may not read ${value}: it was not started for it`;
}
