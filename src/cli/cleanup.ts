import { type Loader, LoaderError } from "../capture/mod.ts";
import type { Arguments } from "./arguments.ts";
import type { Output } from "./output.ts";

/**
 * `mermin cleanup`: removes what agents left in the kernel, all that do not run or the one that is named; returns the exit
 * code.
 *
 * @throws {LoaderError} that says what to do
 */
export function runCleanup(
  { instance, instanceGiven }: Pick<Arguments, "instance" | "instanceGiven">,
  loader: Pick<Loader, "cleanup">,
  pinRoot: string,
  output: Output,
): number {
  try {
    const { instances, running, attachments } = loader.cleanup({ pinRoot, instance: instanceGiven ? instance : "" });
    const removed = instances.length === 0 ? "nothing of ours was left" : `removed ${instances.join(", ")}`;
    output.print(`${removed} (${attachments} ${attachments === 1 ? "attachment" : "attachments"})\n`);
    if (running.length > 0) output.print(`still running, left alone: ${running.join(", ")}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof LoaderError)) throw error;
    throw new LoaderError(error.code, `Cannot clean up: ${error.message}${adviceFor(error)}`);
  }
}

function adviceFor({ code }: LoaderError): string {
  switch (code) {
    case "locked":
      return "; stop it first, or run cleanup without --instance to remove only what no longer runs";
    case "permission":
      return "; run as root";
    default:
      return "";
  }
}
