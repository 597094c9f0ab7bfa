/** What the operator hears about deliveries: every change at once, what goes on at a limited rate. */

import type { Logger } from "../../log.ts";
import type { Clock } from "../clock.ts";

const REPEAT_MS = 60_000;

/** Losses of one kind since the last line about them. */
interface Tally {
  spans: number;
  key: string;
  nextLineMs: number;
}

export class ExportLog {
  readonly #logger: Logger;
  readonly #endpoint: string;
  readonly #clock: Clock;
  readonly #tallies = new Map<string, Tally>();
  #failedRequests = 0;
  #failingSinceMs = 0;

  /** `endpoint` is shown in every line, so it must hold no secret. */
  constructor(logger: Logger, endpoint: string, clock: Clock) {
    this.#logger = logger;
    this.#endpoint = endpoint;
    this.#clock = clock;
  }

  /** A request failed and will be tried again. */
  failing(code: string, message: string): void {
    if (this.#failedRequests++ > 0) return;
    this.#failingSinceMs = this.#clock.now();
    const text = "the collector does not take spans; they are kept and tried again";
    this.#logger.warn("export_failing", text, { endpoint: this.#endpoint, code, message });
  }

  /** A request was taken, apart from `rejected` spans. */
  delivered(rejected: number, message: string): void {
    this.#answered();
    if (rejected === 0 && message === "") return;
    const text = rejected > 0 ? "the collector rejected spans" : "the collector took the spans with a remark";
    this.#repeat(
      "export_rejected",
      message,
      rejected,
      (spans) => this.#logger.warn("export_rejected", text, { endpoint: this.#endpoint, spans, message }),
    );
  }

  /** A request was refused for good; its spans are lost. */
  refused(code: string, message: string, spans: number): void {
    this.#answered();
    const text = "the collector refuses the request and its spans are lost; check endpoint, protocol and headers";
    this.#repeat(
      "export_refused",
      code,
      spans,
      (spans) => this.#logger.error("export_refused", text, { endpoint: this.#endpoint, code, message, spans }),
    );
  }

  /** Spans were dropped to make room. */
  queueFull(spans: number): void {
    const text = "the export queue is full and the oldest spans are dropped";
    this.#repeat(
      "export_queue_full",
      "",
      spans,
      (spans) => this.#logger.warn("export_queue_full", text, { endpoint: this.#endpoint, spans }),
    );
  }

  /** The end: `spans` were not delivered. */
  stopped(spans: number): void {
    if (spans === 0) return;
    const text = "spans were not delivered before the end";
    this.#logger.warn("export_incomplete", text, { endpoint: this.#endpoint, spans });
  }

  #answered(): void {
    if (this.#failedRequests === 0) return;
    const seconds = Math.round((this.#clock.now() - this.#failingSinceMs) / 1000);
    const fields = { endpoint: this.#endpoint, failed_requests: this.#failedRequests, seconds };
    this.#failedRequests = 0;
    this.#logger.info("export_recovered", "the collector answers again", fields);
  }

  /** Calls `write` at once for a new `key`, else once in a while with all spans since the last line. */
  #repeat(event: string, key: string, spans: number, write: (spans: number) => void): void {
    const tally = this.#tallies.get(event) ?? { spans: 0, key, nextLineMs: -Infinity };
    this.#tallies.set(event, tally);
    tally.spans += spans;
    const nowMs = this.#clock.now();
    if (tally.key === key && nowMs < tally.nextLineMs) return;
    write(tally.spans);
    tally.key = key;
    tally.spans = 0;
    tally.nextLineMs = nowMs + REPEAT_MS;
  }
}
