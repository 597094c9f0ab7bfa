import type { Logger } from "../log.ts";
import type { FlowSpan } from "../flow/span.ts";
import type { Exporter, ExporterStats } from "./exporter.ts";

/** The end of an old exporter. */
interface Ending {
  /** Gives up what it still holds. */
  now(): void;
  readonly done: Promise<void>;
}

/** With more old ones than this, whose receivers hang, the oldest gives up: each holds up to a whole queue. */
const MAX_ENDING = 2;

/**
 * An exporter that can be replaced by another of its kind while spans come: from the next span on the new one has them, and
 * the old one sends what it holds in the background. All count together, so that no loss is forgotten.
 */
export class ReplaceableExporter implements Exporter {
  readonly name: Exporter["name"];
  onSettled?: () => void;
  readonly #logger: Logger;
  #current: Exporter | undefined;
  /** Old ones that still send, oldest first. */
  readonly #ending = new Map<Exporter, Ending>();
  /** Sums of those that have ended. */
  #ended: ExporterStats = emptyStats();

  constructor(first: Exporter, logger: Logger) {
    this.name = first.name;
    this.#logger = logger;
    this.#current = this.#listenTo(first);
  }

  get stats(): ExporterStats {
    const all = [this.#ended, ...this.#all().map(({ stats }) => stats)].reduce(sum, emptyStats());
    return { ...all, problem: this.#current?.stats.problem };
  }

  /** Spans that wait for the receiver of today: those of an old one, which may hang, hold nobody up. */
  get backlog(): number {
    return this.#current?.stats.queued ?? 0;
  }

  /** Not after a reload that has left it out. */
  get isInUse(): boolean {
    return this.#current !== undefined;
  }

  async start(): Promise<void> {
    await this.#current?.start();
  }

  export(span: FlowSpan): void {
    this.#current?.export(span);
  }

  /** Hands the next spans to `next`, which has been started, or to nobody; the old one has `flushMs` for what it holds. */
  replace(next: Exporter | undefined, flushMs: number): void {
    const old = this.#current;
    this.#current = next && this.#listenTo(next);
    if (!old) return;
    const { promise: isNow, resolve: now } = Promise.withResolvers<void>();
    this.#ending.set(old, { now, done: this.#end(old, isNow, performance.now() + flushMs) });
    const [oldest] = this.#ending.values();
    if (this.#ending.size > MAX_ENDING) oldest.now();
  }

  async flush(deadlineMs: number): Promise<void> {
    await Promise.all(this.#all().map((exporter) => exporter.flush(deadlineMs)));
  }

  async stop(): Promise<void> {
    const ends = [...this.#ending.values()].map(({ now, done }) => (now(), done));
    await Promise.all([this.#current?.stop(), ...ends]);
  }

  #listenTo(exporter: Exporter): Exporter {
    exporter.onSettled = () => this.onSettled?.();
    return exporter;
  }

  #all(): Exporter[] {
    return [...this.#ending.keys(), ...(this.#current ? [this.#current] : [])];
  }

  async #end(old: Exporter, isNow: Promise<void>, deadlineMs: number): Promise<void> {
    try {
      await Promise.race([old.flush(deadlineMs), isNow]);
      await old.stop();
    } catch (error) {
      this.#logger.error("failed", `cannot end the old ${this.name} exporter: ${error}`);
    }
    const { stats } = old;
    this.#ending.delete(old);
    this.#ended = sum(this.#ended, { ...stats, queued: 0, queuedBytes: 0 });
    this.onSettled?.();
    this.#logger.info("exporter_stopped", `${this.name}: ${stats.delivered} of ${stats.accepted} spans delivered`, {
      exporter: this.name,
      ...stats.lost,
    });
  }
}

function emptyStats(): ExporterStats {
  return { accepted: 0, delivered: 0, lost: {}, queued: 0, queuedBytes: 0, requests: 0, retries: 0 };
}

function sum(a: ExporterStats, b: ExporterStats): ExporterStats {
  const lost = { ...a.lost };
  for (const [reason, count] of Object.entries(b.lost)) lost[reason] = (lost[reason] ?? 0) + count;
  return {
    accepted: a.accepted + b.accepted,
    delivered: a.delivered + b.delivered,
    lost,
    queued: a.queued + b.queued,
    queuedBytes: a.queuedBytes + b.queuedBytes,
    requests: a.requests + b.requests,
    retries: a.retries + b.retries,
  };
}
