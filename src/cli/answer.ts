import type { LoadedConfig } from "../settings.ts";
import { type Arguments, HELP } from "./arguments.ts";
import type { Output } from "./output.ts";
import { runValidate } from "./validate.ts";

/** What the commands use that need no kernel. */
export interface AnswerIo extends Output {
  /** Loads the configuration. @throws {ConfigError} */
  load(args: Arguments): LoadedConfig;
  readonly version: string;
}

/**
 * Answers a command that needs no kernel and returns its exit code; `undefined` for one that does.
 *
 * @throws {ConfigError} for `validate`, with everything that is wrong
 * @throws {UsageError} for `validate` without a file
 */
export function answer(args: Arguments, io: AnswerIo): number | undefined {
  switch (args.command) {
    case "help":
      io.print(HELP);
      return 0;
    case "version":
      io.print(`mermin ${io.version}\n`);
      return 0;
    case "validate":
      return runValidate(args.configPath, () => io.load(args), io);
    default:
      return undefined;
  }
}
