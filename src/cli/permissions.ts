import { permissionFlags } from "../permissions.ts";
import { environmentNames, type LoadedConfig } from "../settings.ts";
import { type Arguments, HELP, parseArguments } from "./arguments.ts";
import { explain, type Output } from "./output.ts";
import { runValidate } from "./validate.ts";

/** What the first stage of the launcher may use. */
export interface PermissionsIo extends Output {
  env(name: string): string | undefined;
  /** Loads the configuration. @throws {ConfigError} */
  load(args: Arguments): LoadedConfig;
  readonly libraryPath: string;
  readonly version: string;
}

/**
 * The first stage of `bin/mermin`: prints `run` and then one Deno flag a line with which the second stage shall run these
 * arguments. What needs no second stage (help, version, `validate`, an error) is done here, without the line `run`.
 *
 * Returns the exit code.
 */
export function runPermissions(args: readonly string[], io: PermissionsIo): number {
  try {
    return answer(parseArguments(args, io.env), io);
  } catch (error) {
    return explain(error, io);
  }
}

function answer(args: Arguments, io: PermissionsIo): number {
  const { libraryPath } = io;
  switch (args.command) {
    case "help":
      io.print(HELP);
      return 0;
    case "version":
      io.print(`mermin ${io.version}\n`);
      return 0;
    case "validate":
      return runValidate(args.configPath, () => io.load(args), io);
    case "cleanup":
      return show(permissionFlags(undefined, { libraryPath, env: environmentNames() }), true, io);
    case "permissions":
    case "run": {
      const { config, path } = io.load(args);
      const context = { libraryPath, configPath: path, env: environmentNames() };
      return show(permissionFlags(config, context), args.command === "run", io);
    }
  }
}

function show(flags: readonly string[], run: boolean, output: Output): number {
  output.print([...(run ? ["run"] : []), ...flags].join("\n") + "\n");
  return 0;
}
