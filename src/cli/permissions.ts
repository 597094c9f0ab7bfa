import { permissionFlags } from "../permissions.ts";
import { environmentNames } from "../settings.ts";
import { answer, type AnswerIo } from "./answer.ts";
import { type Arguments, parseArguments } from "./arguments.ts";
import { explain, type Output } from "./output.ts";

/** What the first stage of the launcher may use. */
export interface PermissionsIo extends AnswerIo {
  env(name: string): string | undefined;
  readonly libraryPath: string;
}

/**
 * The first stage of `bin/mermin`: prints `run` and then one Deno flag a line with which the second stage shall run these
 * arguments. What needs no second stage (help, version, `validate`, an error) is done here, without the line `run`.
 *
 * Returns the exit code.
 */
export function runPermissions(args: readonly string[], io: PermissionsIo): number {
  try {
    const parsed = parseArguments(args, io.env);
    return answer(parsed, io) ?? showPermissions(parsed, io);
  } catch (error) {
    return explain(error, io);
  }
}

/** Prints the flags that `args` need; returns the exit code. @throws {ConfigError} */
export function showPermissions(args: Arguments, io: PermissionsIo): number {
  const { libraryPath } = io;
  if (args.command === "cleanup") {
    return show(permissionFlags(undefined, { libraryPath, env: environmentNames() }), true, io);
  }
  const { config, path } = io.load(args);
  const context = { libraryPath, configPath: path, env: environmentNames() };
  return show(permissionFlags(config, context), args.command === "run", io);
}

function show(flags: readonly string[], run: boolean, output: Output): number {
  output.print([...(run ? ["run"] : []), ...flags].join("\n") + "\n");
  return 0;
}
