import type { LoadedConfig } from "../settings.ts";
import { UsageError } from "./arguments.ts";
import type { Output } from "./output.ts";

/**
 * `mermin validate FILE`: says that a configuration can be used, and what is worth a look; returns the exit code.
 *
 * @throws {ConfigError} with everything that is wrong with it
 * @throws {UsageError} without a file
 */
export function runValidate(path: string | undefined, load: () => LoadedConfig, output: Output): number {
  if (path === undefined) throw new UsageError("validate needs a file; see --help");
  const { warnings, notYet } = load();
  for (const text of [...warnings, ...notYet]) output.error(`warning: ${text}\n`);
  output.print(`${path}: can be used\n`);
  return 0;
}
