/** Where the agent's metrics get their values: one place for what it has from the beginning, and for what runs. */

import { InterfaceSeries } from "./capture/interface_series.ts";
import { captureSources, keptFor } from "./capture/metrics.ts";
import type { CaptureSession, OpenReport } from "./capture/mod.ts";
import type { Exporter } from "./export/exporter.ts";
import type { Listeners } from "./interfaces/listeners.ts";
import type { InterfaceWatcher } from "./interfaces/watcher.ts";
import { channelSources } from "./metrics/channel_sources.ts";
import { exporterSources } from "./metrics/exporter_sources.ts";
import { type Histograms, histogramSources } from "./metrics/histograms.ts";
import { processSources } from "./metrics/process_sources.ts";
import type { MetricSources } from "./metrics/table.ts";
import type { Producer } from "./producer.ts";
import { RELOAD_STATUS, type ReloadCounts } from "./reload/reloader.ts";
import type { Config } from "./settings.ts";
import { VERSION } from "./version.ts";

/** One scrape asks for the kernel's counters many times. */
const COUNTERS_KEPT_MS = 100;

/** How the stop went; zero until then. */
export interface ShutdownCounts {
  timeouts: number;
  preserved: number;
  lost: number;
}

export interface StandingParts {
  exporters: readonly Pick<Exporter, "name" | "stats">[];
  /** Spans made so far. */
  spans: () => number;
  histograms: Histograms;
  reloads: ReloadCounts;
  shutdown: ShutdownCounts;
}

/** Sources of what can be told before anything runs. */
export function standingSources({ exporters, spans, histograms, reloads, shutdown }: StandingParts): MetricSources {
  return {
    mermin_build_info: (emit) => emit(1, { version: VERSION, deno: Deno.version.deno }),
    ...processSources(),
    ...exporterSources(exporters, spans),
    ...histogramSources(histograms),
    mermin_config_reloads_total: (emit) => {
      for (const status of RELOAD_STATUS) emit(reloads[status], { status });
    },
    mermin_shutdown_timeouts_total: (emit) => emit(shutdown.timeouts),
    mermin_shutdown_flows_total: (emit) => {
      for (const status of ["preserved", "lost"] as const) emit(shutdown[status], { status });
    },
  };
}

export interface RunningParts {
  session: Pick<CaptureSession, "counters">;
  report: OpenReport;
  watcher: InterfaceWatcher;
  listeners: Listeners;
  producer: Producer;
  exporters: readonly Pick<Exporter, "stats">[];
  config: Config;
  /** Spans are named in a cluster. */
  isDecorated: boolean;
  /** Spans that may wait in an exporter, by what is configured now. */
  maxWaitingSpans: () => number;
}

/** Sources of what a running capture counts; `series` is to be looked at before counters are dropped. */
export function runningSources(parts: RunningParts): { sources: MetricSources; series: InterfaceSeries } {
  const { session, report, watcher, listeners, producer, config } = parts;
  const counters = keptFor(COUNTERS_KEPT_MS, () => session.counters());
  const series = new InterfaceSeries({
    counters: () => counters().hooks,
    interfaceName: (ifindex) => watcher.interface(ifindex)?.name ?? `#${ifindex}`,
    staleMs: config.metrics.staleMetricTtlMs,
  });
  const sources = {
    ...captureSources({
      counters,
      interfaces: () => series.read(),
      modes: () => new Set([...watcher.attached.values()].map(({ mode }) => mode)),
      isPinned: report.pinned,
      eventCapacity: config.pipeline.flowEventsCapacity,
      listeningSockets: () => listeners.count(),
      taken: producer.stats,
    }),
    ...channelSources({
      tableCapacity: report.capacity,
      maxWaitingSpans: parts.maxWaitingSpans,
      producer: producer.stats,
      exporters: parts.exporters,
      isDecorated: parts.isDecorated,
    }),
  };
  return { sources, series };
}
