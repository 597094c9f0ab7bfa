/** All wiring, in the order in which a flow goes: kernel, interfaces, spans, exporters; and the servers beside it. */

import { RECORDS_PER_READ } from "./capture/ffi_loader.ts";
import { captureSources, keptFor } from "./capture/metrics.ts";
import type { CaptureSession, Loader } from "./capture/mod.ts";
import { namespacePath, openSession } from "./capture/open.ts";
import type { Exporter } from "./export/exporter.ts";
import { SpanBuilder } from "./flow/span_builder.ts";
import { pollLimits } from "./flow/timeouts.ts";
import { InterfaceWatcher } from "./interfaces/watcher.ts";
import type { Logger } from "./log.ts";
import { exporterSources } from "./metrics/exporter_sources.ts";
import { renderMetrics } from "./metrics/render.ts";
import type { MetricSources } from "./metrics/table.ts";
import { Producer } from "./producer.ts";
import { HealthServer } from "./server/health_server.ts";
import { MetricsServer } from "./server/metrics_server.ts";
import type { Config } from "./settings.ts";
import { VERSION } from "./version.ts";

export interface AgentOptions {
  config: Config;
  /** Tells agents on one host apart. */
  instance: string;
  loader: Loader;
  exporters: readonly Exporter[];
  logger: Logger;
  /** Somebody runs it by hand, on a terminal. */
  isInteractive: boolean;
  /** Whether the agent goes on without a server whose port is taken: nobody has chosen it. */
  portsAreOptional: boolean;
  /** `MERMIN_ATTACH`, for tests and for kernels whose TCX misbehaves. */
  attachMode?: "auto" | "tcx" | "clsact";
}

export const PIN_ROOT = "/sys/fs/bpf/mermin";
const RESCAN_INTERVAL_MS = 2000;
/** One scrape asks for the kernel's counters many times. */
const COUNTERS_KEPT_MS = 100;
/** Used part of the flow table, in percent, at which flows are ended early, and down to which. */
const HIGH_WATER_PERCENT = 80;
const LOW_WATER_PERCENT = 60;
/** The loop comes round at least once per interval; so much later it is taken for dead. */
const LOOP_GRACE_MS = 30_000;
/** Parts of the shutdown timeout after which open flows are no longer held back for slow exporters, and no queue is sent. */
const CLOSE_SHARE = 0.7;
const FLUSH_SHARE = 0.95;

/** The running agent: `start()`, then `run()` until `stop()`. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #logger: Logger;
  readonly #health: HealthServer;
  readonly #metrics: MetricsServer;
  #sources: MetricSources = {};
  #session: CaptureSession | undefined;
  /** The kernel's tables were there already: an earlier agent left them. */
  #isReused = false;
  #watcher: InterfaceWatcher | undefined;
  #producer: Producer | undefined;
  #running: Promise<void> = Promise.resolve();
  #rescan: ReturnType<typeof setInterval> | undefined;

  constructor(options: AgentOptions) {
    const { config, exporters, logger } = options;
    this.#options = options;
    this.#logger = logger;
    this.#health = new HealthServer({
      ...config.api,
      setting: "api",
      logger: logger.child("api"),
      checks: [
        { name: "loop", kinds: ["live"], check: () => this.#checkLoop() },
        { name: "capture", kinds: ["live", "ready", "startup"], check: () => ({ ok: this.#session !== undefined }) },
        { name: "interfaces", kinds: [], check: () => ({ ok: (this.#watcher?.attached.size ?? 0) > 0 }) },
      ],
      metrics: () => ({
        interfaces: this.#watcher?.attached.size ?? 0,
        spans_created: this.#producer?.stats.spans ?? 0,
        spans_delivered: exporters.reduce((sum, { stats }) => sum + stats.delivered, 0),
      }),
    });
    this.#metrics = new MetricsServer({
      ...config.metrics,
      setting: "metrics",
      logger: logger.child("metrics"),
      render: (contentType) =>
        renderMetrics(
          this.#sources,
          contentType,
          (name, error) => logger.warn("metric_failed", `cannot read ${name}: ${error}`),
        ),
    });
  }

  /**
   * Takes the servers' ports, loads the programs and attaches them.
   * @throws {LoaderError} or an `Error` about a port, with what to do; call `stop()` then too.
   */
  async start(): Promise<void> {
    const { config, exporters, loader } = this.#options;
    this.#listen("health is", this.#health, config.api);
    this.#listen("metrics are", this.#metrics, config.metrics);
    for (const exporter of exporters) await exporter.start();

    const { session, report } = this.#openSession();
    this.#session = session;
    this.#isReused = report.reused;
    const logger = this.#logger.child("interfaces");
    const watcher = new InterfaceWatcher({ patterns: config.instrument.interfaces, session, logger });
    this.#watcher = watcher;
    watcher.scan();
    const pruned = session.prune();
    if (pruned > 0) this.#logger.info("pruned", "removed programs that an earlier agent left", { count: pruned });

    const producer = this.#createProducer(session, watcher, report.capacity);
    this.#sources = {
      mermin_build_info: (emit) => emit(1, { version: VERSION, deno: Deno.version.deno }),
      ...captureSources({
        counters: keptFor(COUNTERS_KEPT_MS, () => session.counters()),
        interfaceName: (ifindex) => watcher.interface(ifindex)?.name ?? `#${ifindex}`,
        modes: () => new Set([...watcher.attached.values()].map(({ mode }) => mode)),
        isPinned: report.pinned,
        eventCapacity: config.pipeline.flowEventsCapacity,
        taken: producer.stats,
      }),
      ...exporterSources(exporters),
    };
    if (config.instrument.autoDiscoverInterfaces) {
      this.#rescan = setInterval(() => this.#scan(watcher), RESCAN_INTERVAL_MS);
    }
    this.#producer = producer;
    this.#running = producer.run();
    // Looked at in `run()`; until then a rejection must not count as unhandled.
    this.#running.catch(() => {});
    this.#health.markStarted();
    const count = watcher.attached.size;
    this.#logger.info("started", `mermin ${VERSION} watches ${count} ${count === 1 ? "interface" : "interfaces"}`, {
      version: VERSION,
      loader: loader.version,
    });
  }

  /** Resolves after `stop()`; rejects when the agent cannot go on. */
  run(): Promise<void> {
    return this.#running;
  }

  /**
   * Ends everything in order, within the configured time: open flows become spans, the queues are sent, and the kernel
   * keeps what a successor takes over, or nothing. Also right after a failed `start()`.
   * @throws {Error} in the end, when a step failed; the others were done nevertheless.
   */
  async stop(): Promise<void> {
    const startMs = performance.now();
    const timeoutMs = this.#options.config.shutdownTimeoutMs;
    const failures: string[] = [];
    const attempt = async (what: string, step: () => unknown) => {
      try {
        await step();
      } catch (error) {
        failures.push(`${what}: ${messageOf(error)}`);
      }
    };
    clearInterval(this.#rescan);
    // A start that failed leaves what it found to the next try, and nothing where nothing was.
    const keep = this.#producer ? this.#keepsCapture() : this.#isReused;
    if (this.#producer) {
      const closeUntilMs = startMs + timeoutMs * CLOSE_SHARE;
      this.#producer.stop();
      await this.#running.catch(() => {}); // Whoever called `run()` has the error.
      if (!keep) await attempt("detach", () => this.#session?.detach(0));
      await attempt("close the open flows", () => this.#closeFlows(closeUntilMs, keep));
    }
    const flushUntilMs = startMs + timeoutMs * FLUSH_SHARE;
    await Promise.all(this.#options.exporters.map(async (exporter) => {
      await attempt(`send what ${exporter.name} holds`, () => until(flushUntilMs, exporter.flush(flushUntilMs)));
      await attempt(`stop ${exporter.name}`, () => until(startMs + timeoutMs, exporter.stop()));
      this.#logExporter(exporter);
    }));
    await attempt("let go of the kernel", () => this.#session?.close(keep));
    this.#session = undefined;
    const leftMs = Math.max(0, startMs + timeoutMs - performance.now());
    await Promise.all([this.#health.stop(leftMs), this.#metrics.stop(leftMs)]);
    if (failures.length > 0) throw new Error(failures.map((failure) => `Cannot ${failure}`).join("; "));
  }

  async #closeFlows(untilMs: number, keep: boolean): Promise<void> {
    const spans = await this.#producer!.sweep(true, untilMs);
    this.#logger.info("flows_closed", "closed all open flows", { spans, keep });
  }

  #keepsCapture(): boolean {
    const { config: { onExit }, isInteractive } = this.#options;
    // Somebody who tries it out by hand wants no traces left; a service has a successor.
    return onExit === "auto" ? !isInteractive : onExit === "keep";
  }

  #listen(whatIs: string, server: { start(): void }, { enabled, port }: { enabled: boolean; port: number }): void {
    if (!enabled) return;
    try {
      server.start();
    } catch (error) {
      const isTaken = error instanceof Error && error.cause instanceof Deno.errors.AddrInUse;
      if (!isTaken || !this.#options.portsAreOptional) throw error;
      this.#logger.warn("port_taken", `port ${port} is taken; ${whatIs} off; choose another with a config file`, {
        port,
      });
    }
  }

  #openSession(): ReturnType<typeof openSession> {
    const { config, instance, loader, attachMode = "auto" } = this.#options;
    return openSession(loader, {
      pinRoot: PIN_ROOT,
      instance,
      flowCapacity: config.pipeline.flowStatsCapacity,
      eventCapacity: config.pipeline.flowEventsCapacity,
      highWaterPercent: HIGH_WATER_PERCENT,
      networkNamespace: namespacePath(config.instrument.networkNamespace),
      attach: {
        mode: attachMode,
        tcxFirst: config.instrument.tcxOrder === "first",
        tcPriority: config.instrument.tcPriority,
      },
    }, this.#logger);
  }

  #createProducer(session: CaptureSession, watcher: InterfaceWatcher, capacity: number): Producer {
    const { config, exporters } = this.#options;
    return new Producer({
      session,
      builder: new SpanBuilder({
        seed: config.span.communityIdSeed,
        traceIdTimeoutMs: config.span.traceIdTimeoutMs,
        capacity,
        host: watcher,
      }),
      exporters,
      limits: {
        ...pollLimits(config.span),
        highWater: Math.floor(capacity * HIGH_WATER_PERCENT / 100),
        lowWater: Math.floor(capacity * LOW_WATER_PERCENT / 100),
      },
      intervalMs: config.pipeline.flowStorePollIntervalMs,
      maxWaitingSpans: maxWaitingSpans(config),
    });
  }

  #scan(watcher: InterfaceWatcher): void {
    try {
      watcher.scan();
    } catch (error) {
      this.#logger.warn("interface_scan_failed", messageOf(error));
    }
  }

  #checkLoop(): { ok: boolean; detail?: string } {
    if (!this.#producer) return { ok: false, detail: "not running" };
    const agoMs = performance.now() - this.#producer.stats.aliveAtMs;
    const limitMs = this.#options.config.pipeline.flowStorePollIntervalMs + LOOP_GRACE_MS;
    return agoMs < limitMs ? { ok: true } : { ok: false, detail: `stuck for ${Math.round(agoMs / 1000)} s` };
  }

  #logExporter({ name, stats }: Exporter): void {
    if (!this.#producer) return; // A start that failed had no spans to deliver.
    this.#logger.info("exporter_stopped", `${name}: ${stats.delivered} of ${stats.accepted} spans delivered`, {
      exporter: name,
      ...stats.lost,
    });
  }
}

/**
 * How many spans may wait while the exporters keep up: one batch that fills, those that are sent, and one read. More would
 * only cost memory. `flow_span_queue_capacity` may say less, but not less than one batch and one read.
 */
export function maxWaitingSpans({ pipeline, export: { otlp } }: Config): number {
  const batch = otlp?.maxBatchSize ?? 0;
  const flowing = batch * (1 + (otlp?.maxConcurrentExports ?? 1)) + RECORDS_PER_READ;
  return Math.max(Math.min(flowing, pipeline.flowSpanQueueCapacity), batch + RECORDS_PER_READ);
}

/** Settles as `work` does, or resolves at `untilMs` (`performance.now()` time): whoever hangs must not hold up the others. */
async function until(untilMs: number, work: Promise<void>): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, untilMs - performance.now()));
  await Promise.race([work, timeout]).finally(() => clearTimeout(timer));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
