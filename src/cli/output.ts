import { ConfigError } from "../config/mod.ts";
import { UsageError } from "./arguments.ts";

/** Where a command writes: standard output and standard error. */
export interface Output {
  print(text: string): void;
  error(text: string): void;
}

/** Writes all of `text` to standard output; whoever reads no further has had enough. */
export function writeToStdout(text: string): void {
  let rest = new TextEncoder().encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** Exit code for a failure while running. */
export const EXIT_FAILURE = 1;
/** Exit code for a wrong configuration or command line. */
export const EXIT_USAGE = 2;

/** Prints what is wrong with the configuration or the command line and gives the exit code; throws any other error. */
export function explain(error: unknown, output: Output): number {
  if (error instanceof ConfigError) { for (const problem of error.problems) output.error(`${problem}\n`); }
  else if (error instanceof UsageError) output.error(`mermin: ${error.message}\n`);
  else throw error;
  return EXIT_USAGE;
}
