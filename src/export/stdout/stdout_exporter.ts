/** The exporter that writes flows to standard output, for people and for programs. */

import type { FlowSpan } from "../../flow/span.ts";
import type { Logger } from "../../log.ts";
import type { StdoutConfig } from "./config.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Exporter, ExporterStats, LossReason } from "../exporter.ts";
import type { ResourceAttributes } from "../otlp/mod.ts";
import type { FlowFormatter } from "./formatter.ts";
import { JsonFormatter } from "./json.ts";
import { TextFormatter } from "./text.ts";
import { IndentedTextFormatter } from "./text_indent.ts";
import { writeAll, type Writer } from "./writer.ts";

export interface StdoutExporterOptions {
  readonly format: StdoutConfig["format"];
  /** Of other spans than flows; otherwise that of `format`. */
  readonly formatter?: FlowFormatter;
  readonly writer: Writer;
  /** A terminal gets colours, and the header again and again. */
  readonly isTerminal: boolean;
  /** Default: `isTerminal`. */
  readonly useColors?: boolean;
  /** Goes with every JSON object. */
  readonly resource: ResourceAttributes;
  readonly logger: Logger;
  /** Called once, when nobody reads any more; returns whether the agent ends for that. */
  readonly onClosed?: () => boolean;
  readonly clock?: Clock;
}

/** Flows wait this long for others, to be written together. */
const TICK_MS = 100;
/** So much text is written without waiting for the others. */
const FULL_CHARS = 65_536;
/** More text is not kept for a reader that is slow; it holds about 50,000 flows. */
const MAX_WAITING_CHARS = 8_388_608;
const FLOWS_PER_HEADER = 40;
const LOSS_LINE_INTERVAL_MS = 60_000;

const UTF8 = new TextEncoder();

/** Collects lines and writes them together; a reader that is slow or gone costs flows, never time. */
export class StdoutExporter implements Exporter {
  readonly name = "stdout";
  readonly stats: ExporterStats;
  onSettled?: () => void;
  readonly #formatter: FlowFormatter;
  readonly #writer: Writer;
  readonly #isTerminal: boolean;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #onClosed: (() => boolean) | undefined;
  readonly #flushes = new Set<() => void>();
  #text = "";
  #waiting = 0;
  /** Flows whose lines are being written. */
  #writing = 0;
  #writingBytes = 0;
  #isWriting = false;
  #flowsUntilHeader = 0;
  #headerWidth = 0;
  #nextLossLineMs = -Infinity;
  #cancelTick: (() => void) | undefined;
  #state: "open" | "failing" | "closed" | "stopped" = "open";

  constructor(options: StdoutExporterOptions) {
    this.#formatter = options.formatter ?? createFormatter(options);
    this.#writer = options.writer;
    this.#isTerminal = options.isTerminal;
    this.#logger = options.logger;
    this.#clock = options.clock ?? systemClock;
    this.#onClosed = options.onClosed;
    const queued = () => this.#waiting + this.#writing;
    const queuedBytes = () => this.#text.length + this.#writingBytes;
    this.stats = {
      accepted: 0,
      delivered: 0,
      lost: {},
      get queued() {
        return queued();
      },
      get queuedBytes() {
        return queuedBytes();
      },
      requests: 0,
      retries: 0,
    };
  }

  start(): void {
    // The first flow writes the header.
  }

  export(span: FlowSpan): void {
    this.stats.accepted++;
    if (this.#state === "closed") return this.#lose("closed", 1);
    if (this.#state === "stopped") return this.#lose("shutdown", 1);
    if (this.#text.length >= MAX_WAITING_CHARS) return this.#loseToSlowReader();
    const line = this.#formatter.flow(span);
    // A terminal shows the header again when it is out of sight or no longer fits.
    const isMoved = this.#isTerminal && this.#formatter.width !== this.#headerWidth;
    if (this.#flowsUntilHeader === 0 || isMoved) {
      this.#text += this.#formatter.header();
      this.#flowsUntilHeader = this.#isTerminal ? FLOWS_PER_HEADER : Infinity;
      this.#headerWidth = this.#formatter.width;
    }
    this.#text += line;
    this.#flowsUntilHeader--;
    this.#waiting++;
    if (this.#text.length >= FULL_CHARS && !this.#isWriting) this.#write();
    else this.#cancelTick ??= this.#clock.after(TICK_MS, () => this.#write());
  }

  flush(deadlineMs: number): Promise<void> {
    this.#write();
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        this.#flushes.delete(done);
        resolve();
      };
      const cancel = this.#clock.after(deadlineMs - this.#clock.now(), done);
      this.#flushes.add(done);
      this.#resolveFlushes();
    });
  }

  stop(): Promise<void> {
    this.#endTick();
    if (this.#state !== "closed") this.#state = "stopped";
    // A write that hangs can't be called back: what it has of ours counts as lost.
    this.#lose("shutdown", this.#waiting + this.#writing);
    this.#forget();
    this.#resolveFlushes();
    return Promise.resolve();
  }

  /** Writes what waits, and what comes meanwhile; one write at a time. */
  async #write(): Promise<void> {
    this.#endTick();
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#waiting > 0) {
      const bytes = UTF8.encode(this.#text);
      this.#writing = this.#waiting;
      this.#writingBytes = bytes.length;
      this.#text = "";
      this.#waiting = 0;
      this.stats.requests++;
      const error = await writeAll(this.#writer, bytes);
      this.#written(error);
    }
    this.#isWriting = false;
    this.#resolveFlushes();
  }

  #written(error: unknown): void {
    if (this.#state === "stopped") return;
    if (error === undefined) {
      this.stats.delivered += this.#writing;
      this.stats.problem = "";
      this.#state = "open";
    } else if (error instanceof Deno.errors.BrokenPipe) {
      this.#state = "closed";
      this.stats.problem = "nobody reads standard output any more";
      this.#lose("closed", this.#writing + this.#waiting);
      this.#forget();
      const text = this.#onClosed?.()
        ? "nobody reads standard output any more, and flows go nowhere else: the agent ends"
        : "nobody reads standard output any more; flows are not written there from now on";
      this.#logger.warn("stdout_closed", text, { spans: this.stats.lost.closed });
    } else {
      this.stats.problem = String(error);
      this.#lose("write_failed", this.#writing);
      const text = "cannot write flows to standard output; check the disk or pipe behind it";
      if (this.#state === "open") this.#logger.warn("stdout_failing", text, { error: String(error) });
      this.#state = "failing";
    }
    this.#writing = 0;
    this.#writingBytes = 0;
    this.onSettled?.();
  }

  #endTick(): void {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
  }

  #forget(): void {
    this.#text = "";
    this.#waiting = 0;
    this.#writing = 0;
    this.#writingBytes = 0;
  }

  #loseToSlowReader(): void {
    this.#lose("queue_full", 1);
    const nowMs = this.#clock.now();
    if (nowMs < this.#nextLossLineMs) return;
    this.#nextLossLineMs = nowMs + LOSS_LINE_INTERVAL_MS;
    const text = "who reads standard output is too slow; flows are not written";
    this.#logger.warn("stdout_slow", text, { spans: this.stats.lost.queue_full });
  }

  #lose(reason: LossReason<"stdout">, spans: number): void {
    if (spans > 0) this.stats.lost[reason] = (this.stats.lost[reason] ?? 0) + spans;
  }

  #resolveFlushes(): void {
    if (this.stats.queued === 0) { for (const done of this.#flushes) done(); }
  }
}

function createFormatter(
  { format, isTerminal, useColors = isTerminal, resource }: StdoutExporterOptions,
): FlowFormatter {
  switch (format) {
    case "text":
      return new TextFormatter(useColors);
    case "text_indent":
      return new IndentedTextFormatter(useColors);
    case "json":
    case "json_indent":
      return new JsonFormatter(resource, format === "json_indent");
  }
}
