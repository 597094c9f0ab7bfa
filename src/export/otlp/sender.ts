/** Moves batches from the queue to the collector: when, how many at once, and how often again. */

import type { ExporterStats, ExportMeasures, LossReason } from "../exporter.ts";
import type { Clock } from "../clock.ts";
import type { ExportLog } from "./export_log.ts";
import type { Batch, BatchQueue } from "./queue.ts";
import type { SendResult, Transport } from "./transport.ts";

export interface SenderLimits {
  readonly maxBatchIntervalMs: number;
  readonly maxConcurrentExports: number;
  /** Limit of one request. */
  readonly timeoutMs: number;
  /** Limit of all tries of a batch, after which it returns to the queue. */
  readonly maxExportTimeoutMs: number;
}

export interface SenderParts<Item> {
  readonly queue: BatchQueue<Item>;
  readonly transport: Transport;
  readonly limits: SenderLimits;
  readonly log: ExportLog;
  readonly measures: ExportMeasures;
  readonly clock: Clock;
  /** From 0 to below 1, for the jitter. */
  readonly random: () => number;
}

const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 5_000;
const BACKOFF_JITTER = 0.25;
/** A collector's wish for a pause is followed up to this. */
const MAX_RETRY_AFTER_MS = 600_000;

/** Pause after the `failures`th failure in a row (from 1): doubles up to a limit, and is spread by the jitter. */
export function backoffMs(failures: number, random: number): number {
  const base = Math.min(FIRST_BACKOFF_MS * 2 ** (failures - 1), MAX_BACKOFF_MS);
  return base * (1 - BACKOFF_JITTER + 2 * BACKOFF_JITTER * random);
}

/** Counts every span once: what was accepted is queued, delivered or lost. */
export class Sender<Item> {
  readonly stats: ExporterStats;
  /** See `Exporter.onSettled`. */
  onSettled?: () => void;
  readonly #parts: SenderParts<Item>;
  readonly #inFlight = new Set<AbortController>();
  readonly #workers = new Set<Promise<void>>();
  readonly #wakers = new Set<() => void>();
  readonly #flushes = new Set<{ readonly before: number; readonly done: () => void }>();
  #cancelInterval: () => void = () => {};
  #isOpenDue = false;
  #isStopped = false;
  #activeWorkers = 0;
  #failures = 0;
  #pauseUntilMs = -Infinity;

  constructor(parts: SenderParts<Item>) {
    this.#parts = parts;
    const { queue } = parts;
    this.stats = {
      accepted: 0,
      delivered: 0,
      lost: {},
      get queued() {
        return queue.spans;
      },
      get queuedBytes() {
        return queue.heldBytes;
      },
      requests: 0,
      retries: 0,
    };
  }

  push(item: Item): void {
    this.stats.accepted++;
    if (this.#isStopped) return this.#lose("shutdown", 1);
    const { queue, log } = this.#parts;
    const dropped = queue.push(item);
    if (dropped > 0) {
      this.#lose("queue_full", dropped);
      log.queueFull(dropped);
      this.#resolveFlushes();
    }
    if (queue.openSpans === 0) this.#disarmInterval();
    else if (queue.openSpans === 1) this.#armInterval();
    if (queue.waitingBatches > 0) this.#startWorkers();
  }

  /** Resolves when all that was pushed before is delivered or lost, or at `deadlineMs` of the clock. */
  flush(deadlineMs: number): Promise<void> {
    const { queue, clock } = this.#parts;
    queue.closeOpen();
    this.#disarmInterval();
    this.#startWorkers();
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        this.#flushes.delete(flush);
        resolve();
      };
      const flush = { before: queue.nextSequence, done };
      const cancel = clock.after(deadlineMs - clock.now(), done);
      this.#flushes.add(flush);
      this.#resolveFlushes();
    });
  }

  /** Gives up what is not delivered. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#disarmInterval();
    this.#lose("shutdown", this.#parts.queue.clear());
    const reason = new DOMException("the agent stops", "AbortError");
    for (const controller of this.#inFlight) controller.abort(reason);
    for (const wake of this.#wakers) wake();
    await Promise.all(this.#workers);
    this.#resolveFlushes();
    this.#parts.transport.close();
  }

  #armInterval(): void {
    this.#disarmInterval();
    const { clock, limits } = this.#parts;
    this.#cancelInterval = clock.after(limits.maxBatchIntervalMs, () => {
      this.#isOpenDue = true;
      this.#startWorkers();
    });
  }

  #disarmInterval(): void {
    this.#cancelInterval();
    this.#isOpenDue = false;
  }

  #startWorkers(): void {
    const { queue, limits } = this.#parts;
    const hasWork = () => queue.waitingBatches > 0 || this.#isOpenDue;
    while (this.#activeWorkers < limits.maxConcurrentExports && hasWork()) {
      this.#activeWorkers++;
      const worker: Promise<void> = this.#work().finally(() => this.#workers.delete(worker));
      this.#workers.add(worker);
    }
  }

  /** Sends one batch after the other until none is left; begins with the first before it returns. */
  async #work(): Promise<void> {
    while (true) {
      // What waits for the end of a pause stays in the queue, where a newer span may take its place.
      if (this.#isPaused()) await this.#untilResumed();
      const batch = this.#take();
      if (batch === undefined) break;
      await this.#deliver(batch);
    }
    this.#activeWorkers--;
  }

  /** The oldest batch; an open one that is due goes on filling until there is a worker for it. */
  #take(): Batch | undefined {
    const { queue } = this.#parts;
    if (queue.waitingBatches === 0 && this.#isOpenDue) {
      queue.closeOpen();
      this.#disarmInterval();
    }
    return queue.take();
  }

  /** Tries `batch` until it is settled or its time is over. */
  async #deliver(batch: Batch): Promise<void> {
    const { queue, clock, limits } = this.#parts;
    batch.firstSentMs ??= clock.now();
    const endMs = clock.now() + limits.maxExportTimeoutMs;
    do {
      const result = await this.#send(batch, Math.min(limits.timeoutMs, endMs - clock.now()));
      if (result.kind !== "retry") return this.#settle(batch, result);
      if (this.#isStopped) break;
      this.#pauseAfter(result);
      if (this.#pauseUntilMs < endMs) await this.#untilResumed();
    } while (!this.#isStopped && !this.#isPaused() && clock.now() < endMs);
    if (this.#isStopped) this.#giveUp(batch);
    else queue.putBack(batch);
  }

  async #send(batch: Batch, limitMs: number): Promise<SendResult> {
    const { queue, transport, clock } = this.#parts;
    const controller = new AbortController();
    const timeout = () =>
      controller.abort(new DOMException(`no answer within ${Math.round(limitMs)} ms`, "TimeoutError"));
    const cancel = clock.after(limitMs, timeout);
    this.#inFlight.add(controller);
    this.stats.requests++;
    const result = await transport.send(queue.request(batch), controller.signal);
    this.#inFlight.delete(controller);
    cancel();
    return result;
  }

  #pauseAfter(result: SendResult & { kind: "retry" }): void {
    const { clock, log, random } = this.#parts;
    this.stats.retries++;
    // Requests that fail together are one failure.
    if (!this.#isPaused()) this.#failures++;
    const wishMs = Math.min(result.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
    const pauseMs = Math.max(wishMs, backoffMs(this.#failures, random()));
    this.#pauseUntilMs = Math.max(this.#pauseUntilMs, clock.now() + pauseMs);
    this.stats.problem = `${result.code}: ${result.message}`;
    log.failing(result.code, result.message);
  }

  #settle(batch: Batch, result: SendResult & { kind: "delivered" | "refused" }): void {
    const { queue, log, measures, clock } = this.#parts;
    measures.batchSize.observe(batch.spans);
    measures.exportOut.observe((clock.now() - batch.firstSentMs!) / 1000);
    queue.settle(batch);
    this.#failures = 0;
    if (result.kind === "refused") {
      this.stats.problem = `${result.code}: ${result.message}`;
      this.#lose("refused", batch.spans);
      log.refused(result.code, result.message, batch.spans);
    } else {
      const rejected = Math.min(result.rejectedSpans, batch.spans);
      this.stats.delivered += batch.spans - rejected;
      this.stats.problem = "";
      this.#lose("rejected", rejected);
      log.delivered(rejected, result.message);
    }
    this.onSettled?.();
    this.#resolveFlushes();
  }

  #giveUp(batch: Batch): void {
    this.#parts.queue.settle(batch);
    this.#lose("shutdown", batch.spans);
  }

  #lose(reason: LossReason<"otlp">, spans: number): void {
    if (spans > 0) this.stats.lost[reason] = (this.stats.lost[reason] ?? 0) + spans;
  }

  #isPaused(): boolean {
    return this.#pauseUntilMs > this.#parts.clock.now();
  }

  async #untilResumed(): Promise<void> {
    while (this.#isPaused() && !this.#isStopped) await this.#sleep(this.#pauseUntilMs - this.#parts.clock.now());
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        cancel();
        this.#wakers.delete(wake);
        resolve();
      };
      const cancel = this.#parts.clock.after(delayMs, wake);
      this.#wakers.add(wake);
    });
  }

  #resolveFlushes(): void {
    for (const flush of this.#flushes) if (!this.#parts.queue.holdsBefore(flush.before)) flush.done();
  }
}
