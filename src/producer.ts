/** The loop that takes due records out of the kernel, filters them, makes spans of them and hands these to the exporters. */

import { type CaptureSession, FlowRecords, type SweepLimits } from "./capture/mod.ts";
import { FlowRecord } from "./capture/layout.gen.ts";
import type { TakenCounts } from "./capture/metrics.ts";
import type { Exporter } from "./export/exporter.ts";
import { type FlowFilter, KEEP_ALL } from "./filter/filter.ts";
import type { FlowSpan } from "./flow/span.ts";
import type { SpanBuilder } from "./flow/span_builder.ts";
import type { FlowRecordView } from "./flow/record.ts";

export interface ProducerOptions {
  session: CaptureSession;
  builder: SpanBuilder;
  /** Which records become spans; all, when left out. */
  filter?: FlowFilter;
  /** Says of a span whatever is known about its ends; nothing, when left out. */
  decorate?: (span: FlowSpan) => void;
  exporters: readonly Exporter[];
  /** Told of each sweep that made spans: when it began (`performance.now()` time), and how many. */
  onSwept: (startMs: number, spans: number) => void;
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
  /** Records that are due and not read yet. */
  unread: number;
  /** When the loop last came round, `performance.now()` time. */
  aliveAtMs: number;
}

/** Unless told otherwise, a sweep waits so long for slow exporters; then the queue drops its oldest, rather than the kernel new flows. */
const MAX_PAUSE_MS = 1000;
const PAUSE_STEP_MS = 5;

/** Runs from `run()` to `stop()`. */
export class Producer {
  readonly stats: ProducerStats = {
    ...{ records: 0, spans: 0, filtered: 0, wakeups: 0 },
    ...{ sweeps: 0, unread: 0, aliveAtMs: 0 },
  };
  #options: ProducerOptions;
  readonly #records: FlowRecords;
  readonly #recordsPerRead: number;
  /** Packets of the records that a read brought and the filter dropped, by hook. */
  readonly #dropped = new Map<number, number>();
  #filter: FlowFilter;
  #stopping = false;
  /** Who waits for a sweep that has not begun yet. */
  #asked: PromiseWithResolvers<void> | undefined;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#filter = options.filter ?? KEEP_ALL;
    this.#records = new FlowRecords(options.session.records);
    this.#recordsPerRead = options.session.records.length / FlowRecord.size;
  }

  /** From the next record on, `filter` says which become spans. */
  set filter(filter: FlowFilter) {
    this.#filter = filter;
  }

  /** Takes other limits, intervals or bounds; a sweep follows at once. */
  configure(changes: Partial<Pick<ProducerOptions, "limits" | "intervalMs" | "maxWaitingSpans">>): void {
    this.#options = { ...this.#options, ...changes };
    this.#options.session.wake();
  }

  /** Tells the loader what is done with; the rest somebody must count, should we be killed. */
  #noteSettled(): void {
    const { session, exporters } = this.#options;
    session.noteSettled(this.stats.records - Math.max(0, ...exporters.map(({ stats }) => stats.queued)));
  }

  /** Resolves after `stop()`; rejects when the kernel side fails. */
  async run(): Promise<void> {
    for (const exporter of this.#options.exporters) exporter.onSettled = () => this.#noteSettled();
    while (!this.#stopping) {
      const { session, intervalMs } = this.#options;
      this.stats.aliveAtMs = performance.now();
      if (await session.wait(intervalMs) === "full") this.stats.wakeups++;
      const asked = this.#asked;
      this.#asked = undefined;
      if (!this.#stopping) await this.sweep();
      asked?.resolve();
    }
    this.#asked?.resolve();
  }

  /** Sweeps at once; resolves when all records that were due by now have become spans, or after `stop()`. */
  sweepNow(): Promise<void> {
    if (this.#stopping) return Promise.resolve();
    this.#asked ??= Promise.withResolvers();
    this.#options.session.wake();
    return this.#asked.promise;
  }

  /** Ends `run()` after the sweep that is under way. */
  stop(): void {
    this.#stopping = true;
    this.#options.session.wake();
  }

  /** Exports all flows that are due; returns how many spans that were. Exporters that are behind are waited for, for a while. */
  async sweep(): Promise<number> {
    const { spans } = await this.#sweep(false, performance.now() + MAX_PAUSE_MS, false);
    return spans;
  }

  /**
   * Exports all flows that are open. Exporters that are behind are waited for until `untilMs` (`performance.now()` time);
   * with `leavesRest` what they do not take by then stays in the kernel, and `isComplete` is false.
   */
  close(untilMs: number, leavesRest: boolean): Promise<{ spans: number; isComplete: boolean }> {
    return this.#sweep(true, untilMs, leavesRest);
  }

  async #sweep(force: boolean, untilMs: number, leavesRest: boolean): Promise<{ spans: number; isComplete: boolean }> {
    const { session, limits, onSwept } = this.#options;
    const before = this.stats.spans;
    const startMs = performance.now();
    let isComplete = true;
    // A sweep that was under way when the last one ended is read first, so a forced one may take two turns.
    for (let turns = force ? 2 : 1; turns > 0 && isComplete; turns--) {
      this.stats.unread = await session.sweep({ ...limits, force });
      isComplete = await this.#read(untilMs, leavesRest);
    }
    this.stats.sweeps++;
    const spans = this.stats.spans - before;
    if (spans > 0) onSwept(startMs, spans);
    return { spans, isComplete };
  }

  /** Reads what a sweep found and exports it; tells whether that was all. */
  async #read(untilMs: number, leavesRest: boolean): Promise<boolean> {
    let count: number;
    do {
      const isBehind = await this.#pause(untilMs);
      if (isBehind && leavesRest) return false;
      count = this.#options.session.read();
      this.stats.unread = Math.max(0, this.stats.unread - count);
      this.#export(count);
    } while (count === this.#recordsPerRead);
    return true;
  }

  #export(count: number): void {
    const { builder, decorate, exporters } = this.#options;
    const { stats } = this;
    const records = this.#records;
    for (let i = 0; i < count; i++) {
      records.seek(i);
      const span = builder.describe(records);
      if (!this.#filter(span, records)) {
        this.#drop(records);
        continue;
      }
      builder.finish(records);
      decorate?.(span);
      stats.spans++;
      for (const exporter of exporters) exporter.export(span);
    }
    stats.records += count;
    this.#bookDropped();
    this.#noteSettled();
  }

  #drop(record: FlowRecordView): void {
    this.stats.filtered++;
    for (const side of [0, 1] as const) {
      const packets = record.packetsDelta(side);
      if (packets === 0) continue;
      const hook = record.hook(side);
      this.#dropped.set(hook, (this.#dropped.get(hook) ?? 0) + packets);
    }
  }

  /** Once per read, before anybody else can ask for the kernel's counters: these and the stats agree at any time. */
  #bookDropped(): void {
    for (const [hook, packets] of this.#dropped) this.#options.session.bookFiltered(hook, packets);
    this.#dropped.clear();
  }

  /** Lets the exporters send, and gives them time when too much waits; tells whether too much still does at `untilMs`. */
  async #pause(untilMs: number): Promise<boolean> {
    const { exporters, maxWaitingSpans } = this.#options;
    const waiting = (exporter: Exporter) => exporter.backlog ?? exporter.stats.queued;
    const isBehind = () => exporters.some((exporter) => waiting(exporter) + this.#recordsPerRead > maxWaitingSpans);
    for (;;) {
      await sleep(isBehind() ? PAUSE_STEP_MS : 0);
      if (!isBehind()) return false;
      if (performance.now() >= untilMs) return true;
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
