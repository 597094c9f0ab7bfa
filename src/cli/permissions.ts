import { AccessError, type ClusterAccess } from "../kubernetes/api/access.ts";
import { findAccess, type KubeconfigIo, kubeconfigPaths } from "../kubernetes/api/kubeconfig.ts";
import { flagPath, permissionFlags } from "../permissions.ts";
import { type Config, environmentNames } from "../settings.ts";
import { answer, type AnswerIo } from "./answer.ts";
import { type Arguments, parseArguments } from "./arguments.ts";
import { explain, type Output } from "./output.ts";

/** What the first stage of the launcher may use. */
export interface PermissionsIo extends AnswerIo {
  env(name: string): string | undefined;
  /** `mayRead` tells whether the first stage may read a file. */
  readonly kubeconfig: KubeconfigIo & { mayRead(path: string): boolean };
  readonly libraryPath: string;
}

/**
 * The first stage of `bin/mermin`: prints `run` and then one Deno flag a line with which the second stage shall run these
 * arguments; or `read` and then one file a line that it must be let read first, and be run again. What needs no second stage (help, version, `validate`, an error) is done here, without the line `run`.
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
  if (args.command === "cleanup" || args.command === "diagnose") {
    const configPath = args.command === "diagnose"
      ? args.configPath ?? (io.env("MERMIN_CONFIG_PATH") || undefined)
      : undefined;
    return show(permissionFlags(undefined, { libraryPath, configPath, env: environmentNames() }), true, io);
  }
  const { config, path } = io.load(args);
  const allowNet = io.env("MERMIN_ALLOW_NET");
  const kubeconfigs = kubeconfigPaths(config.informer.kubeconfigPath, io.env("KUBECONFIG"));
  const isRun = args.command === "run";
  const unread = kubeconfigs.filter((file) => !io.kubeconfig.mayRead(file));
  if (isRun && unread.length > 0) {
    io.print(["read", ...unread.map(flagPath)].join("\n") + "\n");
    return 0;
  }
  const context = { libraryPath, configPath: path, env: environmentNames(), allowNet, kubeconfigs };
  return show(permissionFlags(config, { ...context, access: accessOf(config, io) }), isRun, io);
}

/** What is wrong with a kubeconfig is said by the second stage, which has a log. */
function accessOf(config: Config, io: PermissionsIo): ClusterAccess | undefined {
  try {
    return findAccess(config.informer.kubeconfigPath, io.kubeconfig);
  } catch (error) {
    if (error instanceof AccessError) return undefined;
    throw error;
  }
}

function show(flags: readonly string[], run: boolean, output: Output): number {
  output.print([...(run ? ["run"] : []), ...flags].join("\n") + "\n");
  return 0;
}
