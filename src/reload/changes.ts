/** Compares two configurations setting by setting. */

import { fieldName, type Setting } from "../config/mod.ts";
import { type Config, type Settings, settings } from "../settings.ts";

type Values = Readonly<Record<string, unknown>>;

/** Paths of all settings that differ, such as `span.tcp_timeout`; a group that only one of them has counts as one setting. */
export function changedSettings(before: Settings, after: Settings): string[] {
  return [...changes(settings, before, after, "")];
}

/** `target` with what `source` has at `path`. */
export function withSettingOf(target: Settings, source: Settings, path: string): Settings {
  return put(settings, target, source, path.split(".")) as Settings;
}

/** Which exporters have other settings, or are new or gone. */
export function changedExporters(before: Config["export"], after: Config["export"]): ("otlp" | "stdout")[] {
  return (["otlp", "stdout"] as const).filter((name) => !isEqual(before[name], after[name]));
}

function* changes(setting: Setting<unknown>, before: unknown, after: unknown, path: string): Generator<string> {
  if (isEqual(before, after)) return;
  if (!setting.fields || setting.repeats || before === undefined || after === undefined) return yield path;
  for (const [name, field] of Object.entries(setting.fields)) {
    const key = fieldName(name, field);
    yield* changes(field, (before as Values)[key], (after as Values)[key], path === "" ? name : `${path}.${name}`);
  }
}

function put(setting: Setting<unknown>, target: unknown, source: unknown, path: readonly string[]): unknown {
  const [name, ...rest] = path;
  if (name === undefined || target === undefined || source === undefined) return source;
  const field = setting.fields?.[name];
  if (field === undefined) throw new Error(`There is no setting ${name} here`);
  const key = fieldName(name, field);
  return { ...target as Values, [key]: put(field, (target as Values)[key], (source as Values)[key], rest) };
}

/** Values of settings are plain data. */
function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => isEqual((a as Values)[name], (b as Values)[name]));
}
