/** All wiring, in the order in which a flow goes: kernel, interfaces, spans, exporters; and the servers beside it. */

import { runningSources, standingSources } from "./agent_metrics.ts";
import type { InterfaceSeries } from "./capture/interface_series.ts";
import type { CaptureSession, Loader, OpenOptions } from "./capture/mod.ts";
import { openSession } from "./capture/open.ts";
import type { Exporter } from "./export/exporter.ts";
import { ReplaceableExporter } from "./export/replaceable_exporter.ts";
import { compileFilter } from "./filter/filter.ts";
import { SpanBuilder } from "./flow/span_builder.ts";
import type { Cluster } from "./kubernetes/cluster.ts";
import { clusterSources } from "./kubernetes/metrics.ts";
import { Listeners } from "./interfaces/listeners.ts";
import { type AgentState, healthChecks, healthFigures } from "./health.ts";
import { InterfaceWatcher } from "./interfaces/watcher.ts";
import { maxWaitingSpans, openOptions, producerLimits } from "./limits.ts";
import type { Logger } from "./log.ts";
import type { Histograms } from "./metrics/histograms.ts";
import { renderMetrics } from "./metrics/render.ts";
import type { MetricSources } from "./metrics/table.ts";
import { Producer } from "./producer.ts";
import { applySteps, inEffect, type Parts } from "./reload/apply.ts";
import type { ReloadCounts } from "./reload/reloader.ts";
import type { Step } from "./reload/rules.ts";
import { HealthServer } from "./server/health_server.ts";
import { MetricsServer } from "./server/metrics_server.ts";
import type { Config } from "./settings.ts";
import { logShutdown, shutDown } from "./shutdown.ts";
import { keepsForSuccessor } from "./successor.ts";
import type { OwnValues } from "./traces/own_span.ts";
import { Tracer } from "./traces/tracer.ts";
import { VERSION } from "./version.ts";

/** What depends on who the agent is. */
export interface Outputs {
  exporters: readonly Exporter[];
  /** Makes the exporters of another configuration, for a reload. */
  createExporters: (config: Config["export"]) => readonly Exporter[];
  /** Records what the agent itself does. */
  tracer: Tracer;
}

export interface AgentOptions {
  config: Config;
  /** Tells agents on one host apart. */
  instance: string;
  loader: Loader;
  /** Finds out who the agent is, which a cluster may take seconds to say. */
  outputs: () => Promise<Outputs>;
  /** How the reloads ended so far. */
  reloads: ReloadCounts;
  histograms: Histograms;
  /** Left out where there is none. */
  cluster?: Cluster;
  logger: Logger;
  /** Somebody runs it by hand, on a terminal. */
  isInteractive: boolean;
  /** Kind of hook. */
  attachMode?: OpenOptions["attach"]["mode"];
}

/** The loop comes round at least once per interval; so much later it is taken for dead. */
const LOOP_GRACE_MS = 30_000;
/** A cluster is usually known in less; flows wait in the kernel meanwhile, to have their names from the first span on. */
const CLUSTER_WAIT_MS = 5000;
/** The agent's own last spans may take so long, within the time of the stop. */
const OWN_SPANS_MS = 2000;
/** A sweep that takes longer is worth a span of its own. */
const SLOW_SWEEP_MS = 1000;

/** The running agent: `start()`, then `run()` until `stop()`. */
export class Agent {
  readonly #options: AgentOptions;
  /** What holds now; a reload changes it. */
  #config: Config;
  #outputs: Outputs = { exporters: [], createExporters: () => [], tracer: new Tracer([]) };
  readonly #exporters: ReplaceableExporter[] = [];
  readonly #logger: Logger;
  readonly #health: HealthServer;
  readonly #metrics: MetricsServer;
  #sources: MetricSources;
  #session: CaptureSession | undefined;
  /** The kernel's tables were there already: an earlier agent left them. */
  #isReused = false;
  #isPinned = false;
  #watcher: InterfaceWatcher | undefined;
  #series: InterfaceSeries | undefined;
  #producer: Producer | undefined;
  /** Entries of the kernel's table. */
  #capacity = 0;
  #running: Promise<void> = Promise.resolve();
  readonly #started = Promise.withResolvers<void>();
  #isStopping = false;
  readonly #shutdown = { timeouts: 0, preserved: 0, lost: 0 };

  constructor(options: AgentOptions) {
    const { config, logger } = options;
    this.#options = options;
    this.#config = config;
    this.#logger = logger;
    const standing = standingSources({
      exporters: this.#exporters,
      spans: () => this.#producer?.stats.spans ?? 0,
      histograms: options.histograms,
      reloads: options.reloads,
      shutdown: this.#shutdown,
    });
    this.#sources = { ...standing, ...(options.cluster ? clusterSources(options.cluster) : {}) };
    this.#health = new HealthServer({
      ...config.api,
      setting: "api",
      logger: logger.child("api"),
      checks: healthChecks(() => this.#state()),
      metrics: () => healthFigures(this.#state()),
    });
    this.#metrics = new MetricsServer({
      ...config.metrics,
      setting: "metrics",
      logger: logger.child("metrics"),
      render: (contentType, categories) =>
        renderMetrics(
          this.#sources,
          contentType,
          categories,
          (name, error) => logger.warn("metric_failed", `cannot read ${name}: ${error}`),
        ),
    });
  }

  /**
   * Takes the servers' ports, loads the programs and attaches them.
   * @throws {LoaderError} with what to do; call `stop()` then too.
   */
  async start(): Promise<void> {
    const startMs = performance.now();
    const record = (values: OwnValues) => this.#outputs.tracer.record("agent.start", startMs, values);
    try {
      const flows = await this.#start();
      record({ "mermin.interfaces": this.#watcher?.attached.size, "mermin.flows.taken_over": flows });
    } catch (error) {
      record({ "error.message": messageOf(error) });
      throw error;
    }
  }

  /** Resolves to how many open flows of an earlier agent were taken over. */
  async #start(): Promise<number> {
    const { loader, cluster } = this.#options;
    const config = this.#config;
    // First, so that no probe is ever refused.
    if (config.api.enabled) this.#health.start();
    if (config.metrics.enabled) this.#metrics.start();
    this.#outputs = await this.#options.outputs();
    const { exporters, tracer } = this.#outputs;
    this.#exporters.push(...exporters.map((one) => new ReplaceableExporter(one, this.#logger)));
    await tracer.start();
    for (const exporter of this.#exporters) await exporter.start();
    cluster?.start();

    const { session, report } = await openSession(loader, openOptions(config, this.#options), this.#logger);
    this.#session = session;
    this.#isReused = report.reused;
    this.#isPinned = report.pinned;
    const logger = this.#logger.child("interfaces");
    const watcher = new InterfaceWatcher({
      patterns: config.instrument.interfaces,
      discovers: config.instrument.autoDiscoverInterfaces,
      session,
      logger,
      recordsRead: () => this.#producer?.sweepNow() ?? Promise.resolve(),
      beforeForget: () => this.#series?.look(),
    });
    this.#watcher = watcher;
    await watcher.scan();
    const pruned = await session.prune();
    if (pruned > 0) this.#logger.info("pruned", "removed programs that an earlier agent left", { count: pruned });

    await cluster?.untilSettled(Math.min(CLUSTER_WAIT_MS, config.informer.informersSyncTimeoutMs));
    const listeners = new Listeners({ read: () => session.listeners(), logger });
    this.#capacity = report.capacity;
    const producer = this.#createProducer(session, watcher, listeners, report.capacity);
    const { sources, series } = runningSources({
      ...{ session, report, watcher, listeners, producer, config },
      exporters: this.#exporters,
      isDecorated: cluster !== undefined,
      maxWaitingSpans: () => maxWaitingSpans(this.#config),
    });
    this.#sources = { ...this.#sources, ...sources };
    this.#series = series;
    this.#producer = producer;
    this.#running = Promise.all([producer.run(), watcher.run()]).then(() => {});
    // Looked at in `run()`; until then a rejection must not count as unhandled.
    this.#running.catch(() => {});
    this.#health.markStarted();
    this.#started.resolve();
    const count = watcher.attached.size;
    this.#logger.info("started", `mermin ${VERSION} watches ${count} ${count === 1 ? "interface" : "interfaces"}`, {
      version: VERSION,
      loader: loader.version,
    });
    return report.takenOver;
  }

  /** What is in effect. */
  get config(): Config {
    return this.#config;
  }

  /** Does what `config` says, as far as `steps` name it, once the start is done; resolves to why steps failed, by step. */
  async apply(config: Config, steps: ReadonlySet<Step>): Promise<ReadonlyMap<Step, string>> {
    await this.#started.promise;
    const [producer, watcher, series] = [this.#producer, this.#watcher, this.#series];
    if (this.#isStopping || !producer || !watcher || !series) {
      return new Map([...steps].map((step) => [step, "the agent does not run"]));
    }
    const parts: Parts = {
      ...{ producer, watcher, series, health: this.#health, metrics: this.#metrics },
      exporters: this.#exporters,
      createExporters: this.#outputs.createExporters,
      producerOptions: (config) => producerLimits(config, this.#capacity),
      logger: this.#logger,
    };
    const startMs = performance.now();
    const failed = await applySteps(parts, this.#config, config, steps);
    this.#outputs.tracer.record("config.reload", startMs, { "error.message": [...failed.values()].join("; ") });
    this.#config = inEffect(this.#config, config, failed);
    return failed;
  }

  /** Resolves after `stop()`; rejects when the agent cannot go on. */
  run(): Promise<void> {
    return this.#running;
  }

  /**
   * Ends everything in order, within the configured time: see {@linkcode shutDown}. Also right after a failed `start()`.
   * @throws {Error} in the end, when a step failed; the others were done nevertheless.
   */
  async stop(): Promise<void> {
    const { histograms, cluster, isInteractive } = this.#options;
    const { tracer } = this.#outputs;
    const timeoutMs = this.#config.shutdownTimeoutMs;
    const startMs = performance.now();
    const untilMs = startMs + timeoutMs;
    this.#isStopping = true;
    // A start that failed leaves what it found to the next try, and nothing where nothing was.
    const parts = { ...this.#config, cluster, isInteractive, isPinned: this.#isPinned, logger: this.#logger };
    const keep = this.#producer ? await keepsForSuccessor(parts) : this.#isReused;
    const result = await shutDown({
      timeoutMs: untilMs - performance.now(),
      session: this.#session,
      watcher: this.#watcher,
      producer: this.#producer,
      running: this.#running,
      exporters: this.#exporters,
      keep,
      logger: this.#logger,
    });
    this.#session = undefined;
    await cluster?.stop();
    const { seconds, timedOut, preserved, lost, failures } = result;
    histograms.shutdown.observe(seconds);
    if (timedOut) this.#shutdown.timeouts++;
    this.#shutdown.preserved += preserved;
    this.#shutdown.lost += lost;
    logShutdown(result, this.#logger);
    tracer.record("agent.stop", startMs, {
      "mermin.flows.preserved": preserved,
      "mermin.flows.lost": lost,
      "error.message": failures.join("; "),
    });
    await tracer.stop(Math.min(untilMs, performance.now() + OWN_SPANS_MS));
    const leftMs = Math.max(0, untilMs - performance.now());
    await Promise.all([this.#health.stop(leftMs), this.#metrics.stop(leftMs)]);
    if (failures.length > 0) throw new Error(failures.map((failure) => `Cannot ${failure}`).join("; "));
  }

  #createProducer(
    session: CaptureSession,
    watcher: InterfaceWatcher,
    listeners: Listeners,
    capacity: number,
  ): Producer {
    const config = this.#config;
    const { cluster } = this.#options;
    const isPodHere = (address: string) => {
      const node = cluster?.nodeOf(address);
      return node !== undefined && watcher.isLocal(node);
    };
    return new Producer({
      session,
      builder: new SpanBuilder({
        seed: config.span.communityIdSeed,
        traceIdTimeoutMs: config.span.traceIdTimeoutMs,
        capacity,
        host: {
          interface: (ifindex) => watcher.interface(ifindex),
          isLocal: (address) => watcher.isLocal(address) || isPodHere(address),
          listens: (protocol, address, port) => listeners.listens(protocol, address, port),
        },
      }),
      filter: compileFilter(config.filter),
      decorate: cluster && ((span) => cluster.decorate(span)),
      exporters: this.#exporters,
      onSwept: (startMs, spans) => this.#onSwept(startMs, spans),
      ...producerLimits(config, capacity),
    });
  }

  #onSwept(startMs: number, spans: number): void {
    const lastedMs = performance.now() - startMs;
    this.#options.histograms.flowProducerOut.observe(lastedMs / 1000);
    if (lastedMs > SLOW_SWEEP_MS) this.#outputs.tracer.record("producer.sweep", startMs, { "mermin.spans": spans });
  }

  #state(): AgentState {
    return {
      isLoaded: this.#session !== undefined,
      isStopping: this.#isStopping,
      watcher: this.#watcher,
      producer: this.#producer,
      exporters: this.#exporters,
      cluster: this.#options.cluster,
      loopLimitMs: this.#config.pipeline.flowStorePollIntervalMs + LOOP_GRACE_MS,
    };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
