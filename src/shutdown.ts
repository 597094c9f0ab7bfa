/** The end of the agent, in order and within its time. */

import type { CaptureSession } from "./capture/mod.ts";
import type { Exporter } from "./export/exporter.ts";
import type { Logger } from "./log.ts";
import type { Producer } from "./producer.ts";

export interface ShutdownParts {
  /** All of it must be done by then. */
  readonly timeoutMs: number;
  readonly session: CaptureSession | undefined;
  /** Looks for interfaces until it is stopped. */
  readonly watcher: { stop(): void } | undefined;
  /** `undefined` when the start did not come so far: there are no flows then. */
  readonly producer: Producer | undefined;
  /** Resolves when producer and watcher have ended. */
  readonly running: Promise<void>;
  readonly exporters: readonly Exporter[];
  /** What is pinned goes on counting for a successor. */
  readonly keep: boolean;
  readonly logger: Logger;
}

/** What became of what was open. */
export interface ShutdownResult {
  readonly seconds: number;
  /** The time was over before all was done. */
  readonly timedOut: boolean;
  /** Flows that stay in the kernel for a successor. */
  readonly preserved: number;
  /** Flows whose spans were not delivered and never will be. */
  readonly lost: number;
  /** Steps that failed; the others were done nevertheless. */
  readonly failures: readonly string[];
}

/** Parts of the time after which open flows are no longer held back for slow exporters, and no queue is sent. */
const CLOSE_SHARE = 0.7;
const FLUSH_SHARE = 0.95;
/** What to do about programs that stay attached. */
const CLEAN_UP = "; when that is mended, `mermin cleanup` removes what is left";

/**
 * Open flows become spans, the queues are sent, and the kernel keeps what a successor takes over, or nothing. Flows that the
 * exporters do not take in time stay in the kernel with `keep`, and are handed to the queues otherwise.
 */
export async function shutDown(parts: ShutdownParts): Promise<ShutdownResult> {
  const { timeoutMs, session, producer, exporters, keep } = parts;
  const startMs = performance.now();
  const failures: string[] = [];
  const attempt = async (what: string, step: () => unknown, remedy = "") => {
    try {
      return await step();
    } catch (error) {
      failures.push(`${what}: ${error instanceof Error ? error.message : error}${remedy}`);
    }
  };
  const lostBefore = exporters.map(lostBy);
  let timedOut = false;
  let detached: Promise<unknown> | undefined;
  if (producer) {
    parts.watcher?.stop();
    producer.stop();
    await parts.running.catch(() => {}); // Whoever waits for their end has the error.
    if (!keep) {
      const isSilent = await attempt("stop counting", async () => (await session?.silence(), true));
      // From hundreds of interfaces it takes seconds, in which the flows are closed and sent.
      detached = attempt("detach", () => session?.detachAll(), CLEAN_UP);
      if (!isSilent) await detached;
    }
    await attempt("close the open flows", async () => {
      const { spans, isComplete } = await producer.close(startMs + timeoutMs * CLOSE_SHARE, keep);
      timedOut ||= !isComplete;
      parts.logger.info("flows_closed", isComplete ? "closed all open flows" : "closed some of the open flows", {
        spans,
        keep,
      });
    });
  }
  const flushUntilMs = startMs + timeoutMs * FLUSH_SHARE;
  await Promise.all(exporters.map(async (exporter) => {
    await attempt(`send what ${exporter.name} holds`, () => until(flushUntilMs, exporter.flush(flushUntilMs)));
    timedOut ||= exporter.stats.queued > 0;
    await attempt(`stop ${exporter.name}`, () => until(startMs + timeoutMs, exporter.stop()));
    if (producer) logExporter(exporter, parts.logger);
  }));
  // Spans that one exporter delivered and another lost count as lost; that the same ones were lost by two is likely.
  const undelivered = Math.max(0, ...exporters.map((exporter, i) => lostBy(exporter) - lostBefore[i]));
  const left = Number(await attempt("count what is left", () => producer ? session?.counters().used : 0) ?? 0);
  await detached;
  await attempt("let go of the kernel", () => session?.close(keep), CLEAN_UP);
  const [preserved, lost] = keep ? [left, undelivered] : [0, undelivered + left];
  return { seconds: (performance.now() - startMs) / 1000, timedOut, preserved, lost, failures };
}

/** One line about how it went. */
export function logShutdown({ seconds, timedOut, preserved, lost }: ShutdownResult, logger: Logger): void {
  const level = timedOut || lost > 0 ? "warn" : "info";
  const duration = `${seconds.toFixed(1)} s`;
  const text = timedOut ? `stopped; the time was over after ${duration}` : `stopped in ${duration}`;
  logger[level]("stopped", text, { seconds, timed_out: timedOut, preserved, lost });
}

function lostBy({ stats }: Exporter): number {
  return Object.values(stats.lost).reduce((sum, count) => sum + count, 0);
}

function logExporter({ name, stats }: Exporter, logger: Logger): void {
  logger.info("exporter_stopped", `${name}: ${stats.delivered} of ${stats.accepted} spans delivered`, {
    exporter: name,
    ...stats.lost,
  });
}

/** Settles as `work` does, or resolves at `untilMs` (`performance.now()` time): whoever hangs must not hold up the others. */
async function until(untilMs: number, work: Promise<void>): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, untilMs - performance.now()));
  await Promise.race([work, timeout]).finally(() => clearTimeout(timer));
}
