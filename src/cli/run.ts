import { LoaderError } from "../capture/mod.ts";
import type { Logger } from "../log.ts";
import { EXIT_FAILURE } from "./output.ts";

/** What is run: the agent, or a fake of it. */
export interface Runnable {
  start(): Promise<void>;
  /** Resolves when it has ended; rejects when it cannot go on. */
  run(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts `agent`, waits for `signal` or a failure, stops it whatever happened, and returns the exit code. */
export async function runToEnd(agent: Runnable, signal: Promise<void>, logger: Logger): Promise<number> {
  let code = 0;
  const fail = (error: unknown) => {
    code = EXIT_FAILURE;
    logger.error("failed", error instanceof Error ? error.message : String(error));
    if (error instanceof LoaderError && error.verifierLog) logger.debug("verifier_log", error.verifierLog);
  };
  try {
    await agent.start();
    await Promise.race([agent.run(), signal]);
  } catch (error) {
    fail(error);
  }
  await agent.stop().catch(fail);
  return code;
}

export type StopSignal = "SIGTERM" | "SIGINT" | "SIGHUP";

export interface SignalActions {
  /** Ends the process; does not return. */
  endNow(): void;
  /** Handles a hang-up; says no when it asks for the end, because the terminal is gone or there is nothing to reload. */
  reload(): boolean;
}

/**
 * Resolves at the first signal that asks for an end; a second one ends at once. A hang-up does not: a terminal that closes
 * may send it twice.
 *
 * @param listen calls a function at each signal of a kind, as `Deno.addSignalListener`.
 */
export function untilSignal(
  listen: (signal: StopSignal, onSignal: () => void) => void,
  { endNow, reload }: SignalActions,
  logger: Logger,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isSeen = false;
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    listen(signal, () => {
      if (isSeen && signal !== "SIGHUP") {
        logger.warn("ended_at_once", `${signal} again: ending at once; what is pinned stays for the next start`);
        return endNow();
      }
      if (isSeen || (signal === "SIGHUP" && reload())) return;
      isSeen = true;
      logger.info("stopping", `${signal}: closing flows and sending what is queued; SIGTERM or SIGINT now end at once`);
      resolve();
    });
  }
  return promise;
}
