import type { FlowSpan } from "../flow/span.ts";
import type { Histogram } from "../metrics/histogram.ts";

/**
 * Why spans are lost. `queue_full`: dropped to make room; `refused` and `rejected`: a request or single spans that the
 * receiver will never take; `closed` and `write_failed`: standard output; `shutdown`: not delivered before `stop()`.
 */
export const LOSS_REASONS = {
  otlp: ["queue_full", "refused", "rejected", "shutdown"],
  stdout: ["queue_full", "closed", "write_failed", "shutdown"],
} as const;
/** Those of one exporter. */
export type LossReason<Name extends Exporter["name"]> = typeof LOSS_REASONS[Name][number];

/** What every exporter counts; values only grow, apart from the two gauges. */
export interface ExporterStats {
  /** Spans handed to `export()`. */
  accepted: number;
  /** Spans that the receiver confirmed (stdout: that were written). */
  delivered: number;
  /** Spans lost, by `LossReason`, those there were; every span ends in `delivered` or in one of these. */
  lost: Record<string, number>;
  /** Spans waiting or in flight, now. */
  queued: number;
  /** Bytes held for them, now. */
  queuedBytes: number;
  /** Requests sent, tries included. */
  requests: number;
  /** Requests that will be, or were, tried again. */
  retries: number;
  /** Why the last request was not taken, in a few words without secrets; empty when it was. */
  problem?: string;
}

/** What exporters measure, into histograms that outlive them. */
export interface ExportMeasures {
  /** Spans of each batch that was delivered or refused. */
  readonly batchSize: Histogram;
  /** Seconds from the first request of such a batch to its last answer. */
  readonly exportOut: Histogram;
}

/** Takes flows out of the agent. */
export interface Exporter {
  readonly name: "otlp" | "stdout";
  readonly stats: ExporterStats;
  /** Spans that hold back the reading of more; those of `stats.queued` unless it says otherwise. */
  readonly backlog?: number;
  /** Whether spans go there now; yes, when left out. */
  readonly isInUse?: boolean;
  /** Called when spans have left `stats.queued`, delivered or lost; not for those that `export()` itself loses. */
  onSettled?: () => void;
  start(): Promise<void> | void;
  /** Encodes `span` before it returns: the object is reused by the caller. Never throws, never blocks. */
  export(span: FlowSpan): void;
  /** Sends what is queued; resolves when all is delivered or lost, or at `deadlineMs` (`performance.now()` time). */
  flush(deadlineMs: number): Promise<void>;
  /** Ends at once; what is still queued is counted as lost with reason `shutdown`. */
  stop(): Promise<void>;
}
