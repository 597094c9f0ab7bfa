/** The loop that takes due records out of the kernel, makes spans of them and hands these to the exporters. */

import { type CaptureSession, FlowRecords, type SweepLimits } from "./capture/mod.ts";
import { FlowRecord } from "./capture/layout.gen.ts";
import type { TakenCounts } from "./capture/metrics.ts";
import type { Exporter } from "./export/exporter.ts";
import type { SpanBuilder } from "./flow/span_builder.ts";

export interface ProducerOptions {
  session: CaptureSession;
  builder: SpanBuilder;
  exporters: readonly Exporter[];
  /** `force` is the producer's to set. */
  limits: Omit<SweepLimits, "force">;
  /** Longest time between two sweeps. */
  intervalMs: number;
  /**
   * While more spans wait in an exporter, records stay in the kernel for a while, which holds them in less memory. At
   * least what an exporter keeps until a batch is full, and one read more.
   */
  maxWaitingSpans: number;
}

/** What the producer has done; the values only grow. */
export interface ProducerStats extends TakenCounts {
  sweeps: number;
  /** When the loop last came round, `performance.now()` time. */
  aliveAtMs: number;
}

/** Unless told otherwise, a sweep waits so long for slow exporters; then the queue drops its oldest, rather than the kernel new flows. */
const MAX_PAUSE_MS = 1000;
const PAUSE_STEP_MS = 5;

/** Runs from `run()` to `stop()`. */
export class Producer {
  readonly stats: ProducerStats = { spans: 0, packets: 0, sweeps: 0, wakeups: 0, aliveAtMs: 0 };
  readonly #options: ProducerOptions;
  readonly #records: FlowRecords;
  readonly #recordsPerRead: number;
  #stopping = false;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#records = new FlowRecords(options.session.records);
    this.#recordsPerRead = options.session.records.length / FlowRecord.size;
  }

  /** Resolves after `stop()`; rejects when the kernel side fails. */
  async run(): Promise<void> {
    const { session, intervalMs } = this.#options;
    while (!this.#stopping) {
      this.stats.aliveAtMs = performance.now();
      if (await session.wait(intervalMs) === "full") this.stats.wakeups++;
      if (!this.#stopping) await this.sweep(false);
    }
  }

  /** Ends `run()` after the sweep that is under way. */
  stop(): void {
    this.#stopping = true;
    this.#options.session.wake();
  }

  /**
   * Exports all flows that are due; with `force` all that are open. Exporters that are behind are waited for until
   * `pauseUntilMs` (`performance.now()` time). Returns how many spans that were.
   */
  async sweep(force: boolean, pauseUntilMs = performance.now() + MAX_PAUSE_MS): Promise<number> {
    const { session, limits } = this.#options;
    const before = this.stats.spans;
    // A sweep that was under way when the last one ended is read first, so a forced one may take two turns.
    for (let turns = force ? 2 : 1; turns > 0; turns--) {
      await session.sweep({ ...limits, force });
      let count: number;
      do {
        await this.#pause(pauseUntilMs);
        count = session.read();
        this.#export(count);
      } while (count === this.#recordsPerRead);
    }
    this.stats.sweeps++;
    return this.stats.spans - before;
  }

  #export(count: number): void {
    const { builder, exporters } = this.#options;
    for (let i = 0; i < count; i++) {
      this.#records.seek(i);
      const span = builder.build(this.#records);
      this.stats.packets += span.packetsDelta + span.reversePacketsDelta;
      for (const exporter of exporters) exporter.export(span);
    }
    this.stats.spans += count;
  }

  /** Lets the exporters send, and gives them time when too much waits. */
  async #pause(untilMs: number): Promise<void> {
    const { exporters, maxWaitingSpans } = this.#options;
    const isBehind = () => exporters.some(({ stats }) => stats.queued + this.#recordsPerRead > maxWaitingSpans);
    do await sleep(isBehind() ? PAUSE_STEP_MS : 0); while (isBehind() && performance.now() < untilMs);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
