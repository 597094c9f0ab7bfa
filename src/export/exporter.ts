import type { FlowSpan } from "../flow/span.ts";

/** What every exporter counts; values only grow, apart from the two gauges. */
export interface ExporterStats {
  /** Spans handed to `export()`. */
  accepted: number;
  /** Spans that the receiver confirmed (stdout: that were written). */
  delivered: number;
  /**
   * Spans lost, by reason; every span ends in `delivered` or in one of these. `queue_full`: dropped to make room;
   * `refused` and `rejected`: a request or single spans that the receiver will never take; `closed` and `write_failed`:
   * standard output; `shutdown`: not delivered before `stop()`.
   */
  lost: Record<string, number>;
  /** Spans waiting or in flight, now. */
  queued: number;
  /** Bytes held for them, now. */
  queuedBytes: number;
  /** Requests sent, tries included. */
  requests: number;
  /** Requests that will be, or were, tried again. */
  retries: number;
}

/** Takes flows out of the agent. */
export interface Exporter {
  readonly name: "otlp" | "stdout";
  readonly stats: ExporterStats;
  start(): Promise<void> | void;
  /** Encodes `span` before it returns: the object is reused by the caller. Never throws, never blocks. */
  export(span: FlowSpan): void;
  /** Sends what is queued; resolves when all is delivered or lost, or at `deadlineMs` (`performance.now()` time). */
  flush(deadlineMs: number): Promise<void>;
  /** Ends at once; what is still queued is counted as lost with reason `shutdown`. */
  stop(): Promise<void>;
}
