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

/**
 * Resolves at the first signal that asks for an end; a second one calls `endNow`, which does not return. A hang-up does not:
 * a terminal that closes may send it twice.
 *
 * @param listen calls a function at each signal of a kind, as `Deno.addSignalListener`.
 */
export function untilSignal(
  listen: (signal: StopSignal, onSignal: () => void) => void,
  endNow: () => void,
  logger: Logger,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isSeen = false;
  // SIGHUP is for reloading once there is reloading.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    listen(signal, () => {
      if (isSeen && signal !== "SIGHUP") return endNow();
      if (isSeen) return;
      isSeen = true;
      logger.info("stopping", `${signal}: closing flows and sending what is queued; SIGTERM or SIGINT now end at once`);
      resolve();
    });
  }
  return promise;
}
