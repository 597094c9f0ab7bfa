/** All wiring, in the order in which a flow goes: kernel, interfaces, spans, exporters; and the servers beside it. */

import { RECORDS_PER_READ } from "./capture/ffi_loader.ts";
import { captureSources } from "./capture/metrics.ts";
import { type CaptureSession, type Loader, LoaderError, type OpenReport } from "./capture/mod.ts";
import type { Exporter } from "./export/exporter.ts";
import { OtlpExporter } from "./export/otlp/mod.ts";
import { StdoutExporter, type Writer } from "./export/stdout/mod.ts";
import { SpanBuilder } from "./flow/span_builder.ts";
import { pollLimits } from "./flow/timeouts.ts";
import { InterfaceWatcher } from "./interfaces/watcher.ts";
import type { Logger } from "./log.ts";
import { exporterSources } from "./metrics/exporter_sources.ts";
import { renderMetrics } from "./metrics/render.ts";
import type { MetricSources } from "./metrics/table.ts";
import { Producer } from "./producer.ts";
import type { ResourceAttributes } from "./resource.ts";
import { HealthServer } from "./server/health_server.ts";
import { MetricsServer } from "./server/metrics_server.ts";
import type { Config } from "./settings.ts";
import { VERSION } from "./version.ts";

export interface AgentOptions {
  config: Config;
  /** Tells agents on one host apart. */
  instance: string;
  loader: Loader;
  resource: ResourceAttributes;
  logger: Logger;
  stdout: Writer & { isTerminal(): boolean };
  useColors: boolean;
  /** `MERMIN_ATTACH`, for tests and for kernels whose TCX misbehaves. */
  attachMode?: "auto" | "tcx" | "clsact";
}

export const PIN_ROOT = "/sys/fs/bpf/mermin";
const RESCAN_INTERVAL_MS = 2000;
const SERVER_STOP_MS = 1000;
/** One scrape asks for the kernel's counters many times. */
const COUNTERS_KEPT_MS = 100;
/** Used part of the flow table, in percent, at which flows are ended early, and down to which. */
const HIGH_WATER_PERCENT = 80;
const LOW_WATER_PERCENT = 60;
/** The loop comes round at least once per interval; so much later it is taken for dead. */
const LOOP_GRACE_MS = 30_000;

/** The running agent: `start()`, then `run()` until `stop()`. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #logger: Logger;
  readonly #exporters: readonly Exporter[];
  readonly #health: HealthServer;
  readonly #metrics: MetricsServer;
  #sources: MetricSources = {};
  #session: CaptureSession | undefined;
  #tookOver = false;
  #watcher: InterfaceWatcher | undefined;
  #producer: Producer | undefined;
  #running: Promise<void> = Promise.resolve();
  #rescan: ReturnType<typeof setInterval> | undefined;

  constructor(options: AgentOptions) {
    const { config, logger } = options;
    this.#options = options;
    this.#logger = logger;
    this.#exporters = createExporters(options);
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
        spans_delivered: this.#exporters.reduce((sum, { stats }) => sum + stats.delivered, 0),
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
    const { config, loader } = this.#options;
    if (config.api.enabled) this.#health.start();
    if (config.metrics.enabled) this.#metrics.start();
    for (const exporter of this.#exporters) await exporter.start();

    const { session, report } = openSession(this.#options);
    this.#session = session;
    this.#tookOver = report.takenOver > 0;
    this.#logReport(report);
    const watcher = new InterfaceWatcher({
      patterns: config.instrument.interfaces,
      session,
      logger: this.#logger.child("interfaces"),
    });
    this.#watcher = watcher;
    watcher.scan();
    const pruned = session.prune();
    if (pruned > 0) this.#logger.info("pruned", "removed programs that an earlier agent left", { count: pruned });

    const producer = this.#createProducer(session, watcher, report.capacity);
    this.#producer = producer;
    this.#sources = {
      mermin_build_info: (emit) => emit(1, { version: VERSION, deno: Deno.version.deno }),
      ...captureSources({
        counters: keptFor(COUNTERS_KEPT_MS, () => session.counters()),
        interfaceName: (ifindex) => watcher.interface(ifindex)?.name ?? `#${ifindex}`,
        modes: () => new Set([...watcher.attached.values()].map(({ mode }) => mode)),
        isPinned: report.pinned,
        eventCapacity: config.pipeline.flowEventsCapacity,
        producer: producer.stats,
      }),
      ...exporterSources(this.#exporters),
    };
    if (config.instrument.autoDiscoverInterfaces) {
      this.#rescan = setInterval(() => this.#scan(watcher), RESCAN_INTERVAL_MS);
    }
    this.#running = producer.run();
    // Looked at in `run()`; until then a rejection must not count as unhandled.
    this.#running.catch(() => {});
    this.#health.markStarted();
    this.#logger.info("started", `mermin ${VERSION} watches ${watcher.attached.size} interfaces`, {
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
   */
  async stop(): Promise<void> {
    const { config } = this.#options;
    const deadlineMs = performance.now() + config.shutdownTimeoutMs;
    clearInterval(this.#rescan);
    // A start that failed leaves what it took over to the next try.
    const keep = this.#producer ? this.#keepsCapture() : this.#tookOver;
    try {
      await this.#closeFlows(keep);
    } catch (error) {
      this.#logger.error("close_failed", `cannot close the open flows: ${messageOf(error)}`);
    }
    for (const exporter of this.#exporters) {
      await exporter.flush(deadlineMs);
      await exporter.stop();
      this.#logExporter(exporter);
    }
    this.#session?.close(keep);
    this.#session = undefined;
    await Promise.all([this.#health.stop(SERVER_STOP_MS), this.#metrics.stop(SERVER_STOP_MS)]);
  }

  async #closeFlows(keep: boolean): Promise<void> {
    const producer = this.#producer;
    if (!producer) return;
    producer.stop();
    await this.#running.catch(() => {}); // Whoever called `run()` has the error.
    if (!keep) this.#session?.detach(0);
    const spans = await producer.sweep(true);
    this.#logger.info("flows_closed", "closed all open flows", { spans, keep });
  }

  #keepsCapture(): boolean {
    switch (this.#options.config.onExit) {
      case "keep":
        return true;
      case "detach":
        return false;
      case "auto":
        // Somebody who tries it out by hand wants no traces left; a service has a successor.
        return !this.#options.stdout.isTerminal() && !Deno.stderr.isTerminal();
    }
  }

  #createProducer(session: CaptureSession, watcher: InterfaceWatcher, capacity: number): Producer {
    const { config } = this.#options;
    const limits = pollLimits(config.span);
    return new Producer({
      session,
      builder: new SpanBuilder({
        seed: config.span.communityIdSeed,
        traceIdTimeoutMs: config.span.traceIdTimeoutMs,
        capacity,
        host: watcher,
      }),
      exporters: this.#exporters,
      limits: {
        activeMs: limits.activeMs,
        genericIdleMs: limits.genericMs,
        icmpIdleMs: limits.icmpMs,
        tcpIdleMs: limits.tcpMs,
        tcpFinMs: limits.tcpFinMs,
        tcpRstMs: limits.tcpRstMs,
        udpIdleMs: limits.udpMs,
        highWater: Math.floor(capacity * HIGH_WATER_PERCENT / 100),
        lowWater: Math.floor(capacity * LOW_WATER_PERCENT / 100),
      },
      intervalMs: config.pipeline.flowStorePollIntervalMs,
      maxWaitingSpans: maxWaitingSpans(config),
      logger: this.#logger.child("producer"),
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

  #logReport(report: OpenReport): void {
    const { pipeline } = this.#options.config;
    if (report.pinProblem) {
      this.#logger.warn(
        "not_pinned",
        `${report.pinProblem}; flows are lost at a restart; mount it with: mount -t bpf bpf /sys/fs/bpf`,
      );
    }
    if (report.capacity !== pipeline.flowStatsCapacity) {
      this.#logger.warn(
        "capacity_kept",
        `the table that was taken over has ${report.capacity} entries; for another size stop the agent and run: mermin cleanup`,
      );
    }
    if (report.takenOver > 0) {
      this.#logger.info("taken_over", "took over the flows of an earlier agent", { flows: report.takenOver });
    }
    if (report.foreignLayouts.length > 0) {
      this.#logger.warn("foreign_layout", "flows that an agent of another version left in its table are dropped", {
        tables: report.foreignLayouts.join(" "),
      });
    }
  }

  #logExporter({ name, stats }: Exporter): void {
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

function createExporters(options: AgentOptions): Exporter[] {
  const { stdout, otlp } = options.config.export;
  const exporters: Exporter[] = [];
  if (otlp) {
    exporters.push(
      new OtlpExporter({
        config: otlp,
        resource: options.resource,
        scope: { name: "mermin", version: VERSION },
        logger: options.logger.child("otlp"),
      }),
    );
  }
  if (stdout) {
    exporters.push(
      new StdoutExporter({
        format: stdout.format,
        writer: options.stdout,
        isTerminal: options.stdout.isTerminal(),
        useColors: options.useColors,
        logger: options.logger.child("stdout"),
      }),
    );
  }
  return exporters;
}

function openSession(options: AgentOptions): { session: CaptureSession; report: OpenReport } {
  const { config, instance, loader } = options;
  try {
    return loader.open({
      pinRoot: PIN_ROOT,
      instance,
      flowCapacity: config.pipeline.flowStatsCapacity,
      eventCapacity: config.pipeline.flowEventsCapacity,
      highWaterPercent: HIGH_WATER_PERCENT,
      networkNamespace: namespacePath(config.instrument.networkNamespace),
      attach: {
        mode: options.attachMode ?? "auto",
        tcxFirst: config.instrument.tcxOrder === "first",
        tcPriority: config.instrument.tcPriority,
      },
    });
  } catch (error) {
    if (!(error instanceof LoaderError)) throw error;
    throw new LoaderError(
      error.code,
      `Cannot load the BPF programs: ${error.message}${adviceFor(error)}`,
      error.verifierLog,
    );
  }
}

function adviceFor({ code }: LoaderError): string {
  switch (code) {
    case "permission":
      return "; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
    case "locked":
      return "; stop it, or give this agent a name of its own with --instance";
    case "verifier":
      return "; please report this with the verifier's log";
    default:
      return "";
  }
}

/** The file of the network namespace that `network_namespace` means; `""` is the process's own. */
export function namespacePath(setting: string): string {
  switch (setting) {
    case "auto":
    case "self":
      return "";
    case "host":
      return "/proc/1/ns/net";
    default:
      return setting;
  }
}

/** `read`, called at most once in `ms`. */
function keptFor<T>(ms: number, read: () => T): () => T {
  let kept: { value: T; untilMs: number } | undefined;
  return () => {
    const nowMs = performance.now();
    if (!kept || nowMs >= kept.untilMs) kept = { value: read(), untilMs: nowMs + ms };
    return kept.value;
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
