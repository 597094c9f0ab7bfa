/** Whether a stopped agent leaves its programs to a successor (`on_exit`). */

import type { Logger } from "./log.ts";
import type { Config } from "./settings.ts";

export interface SuccessorParts extends Pick<Config, "onExit" | "shutdownTimeoutMs"> {
  /** Without pins nothing can outlive the process. */
  readonly isPinned: boolean;
  /** Somebody runs it by hand, on a terminal. */
  readonly isInteractive: boolean;
  /** Left out where there is none. */
  readonly cluster: { whyNoSuccessor(timeoutMs: number): Promise<string | undefined> } | undefined;
  readonly logger: Logger;
}

/** The API server is given so long to say whether one comes, and at most so much of the stop's time. */
const ASK_MS = 2000;
const ASK_SHARE = 0.2;

/** To be asked first of all at a stop: an uninstallation is about to take the agent's rights. */
export async function keepsForSuccessor(parts: SuccessorParts): Promise<boolean> {
  const { onExit, shutdownTimeoutMs, isPinned, isInteractive, cluster, logger } = parts;
  if (!isPinned) return false;
  if (onExit !== "auto") return onExit === "keep";
  // Somebody who tries it out wants no traces left; a service has a successor.
  if (isInteractive) return false;
  const why = await cluster?.whyNoSuccessor(Math.min(ASK_MS, shutdownTimeoutMs * ASK_SHARE));
  if (why !== undefined) logger.info("no_successor", `detaches and leaves nothing: ${why}`);
  return why === undefined;
}
