/** What the operator hears about deliveries: every change at once, what goes on at a limited rate. */

import type { Logger } from "../../log.ts";
import type { Clock } from "../clock.ts";

const REPEAT_MS = 60_000;

/** Spans or requests of one kind since the last line about them. */
interface Tally {
  count: number;
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

  /** `endpoint` and messages are shown, so they must hold no secret. */
  constructor(logger: Logger, endpoint: string, clock: Clock) {
    this.#logger = logger;
    this.#endpoint = endpoint;
    this.#clock = clock;
  }

  /** The user's secret goes over a connection that everybody on the way can read. */
  unencrypted(): void {
    const text = "auth is sent without encryption; whoever sees the connection can read it; use an https endpoint";
    this.#logger.warn("export_unencrypted", text, { endpoint: this.#endpoint });
  }

  /** Certificates are not checked. */
  unverified(): void {
    const text = "insecure_skip_verify: anybody can pretend to be the collector; better name its authority in ca_cert";
    this.#logger.warn("export_unverified", text, { endpoint: this.#endpoint });
  }

  /** A request failed and will be tried again. */
  failing(code: string, message: string): void {
    if (this.#failedRequests++ === 0) this.#failingSinceMs = this.#clock.now();
    const text = "the collector does not take spans; they are kept and tried again";
    this.#repeat("export_failing", code, 1, (requests) => {
      this.#logger.error("export_failing", text, { endpoint: this.#endpoint, code, detail: message, requests });
    });
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
      (spans) => this.#logger.warn("export_rejected", text, { endpoint: this.#endpoint, spans, detail: message }),
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
      (spans) => this.#logger.error("export_refused", text, { endpoint: this.#endpoint, code, detail: message, spans }),
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
    this.#tallies.delete("export_failing");
    this.#logger.info("export_recovered", "the collector answers again", fields);
  }

  /** Calls `write` at once for a new `key`, else once in a while with the count since the last line. */
  #repeat(event: string, key: string, count: number, write: (count: number) => void): void {
    const tally = this.#tallies.get(event) ?? { count: 0, key, nextLineMs: -Infinity };
    this.#tallies.set(event, tally);
    tally.count += count;
    const nowMs = this.#clock.now();
    if (tally.key === key && nowMs < tally.nextLineMs) return;
    write(tally.count);
    tally.key = key;
    tally.count = 0;
    tally.nextLineMs = nowMs + REPEAT_MS;
  }
}
