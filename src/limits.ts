/** What a configuration means for the kernel's table and for what waits behind it. */

import { RECORDS_PER_READ } from "./capture/ffi_loader.ts";
import type { OpenOptions } from "./capture/mod.ts";
import { pollLimits } from "./flow/timeouts.ts";
import type { ProducerOptions } from "./producer.ts";
import type { Config } from "./settings.ts";

export const PIN_ROOT = "/sys/fs/bpf/mermin";
/** Used part of the flow table, in percent, at which flows are ended early, and down to which. */
const HIGH_WATER_PERCENT = 80;
const LOW_WATER_PERCENT = 60;

/** How the kernel side is opened. */
export function openOptions(
  { pipeline, instrument, parser }: Config,
  { instance, attachMode = "auto" }: { instance: string; attachMode?: OpenOptions["attach"]["mode"] },
): OpenOptions {
  return {
    pinRoot: PIN_ROOT,
    instance,
    flowCapacity: pipeline.flowStatsCapacity,
    eventCapacity: pipeline.flowEventsCapacity,
    highWaterPercent: HIGH_WATER_PERCENT,
    networkNamespace: instrument.networkNamespace,
    keyScope: parser.keyScope,
    attach: {
      mode: attachMode,
      tcxFirst: instrument.tcxOrder === "first",
      tcPriority: instrument.tcPriority,
    },
  };
}

/** Limits of the loop over a table of `capacity` entries; a reload gives it new ones. */
export function producerLimits(
  config: Config,
  capacity: number,
): Pick<ProducerOptions, "limits" | "intervalMs" | "maxWaitingSpans"> {
  return {
    limits: {
      ...pollLimits(config.span),
      highWater: Math.floor(capacity * HIGH_WATER_PERCENT / 100),
      lowWater: Math.floor(capacity * LOW_WATER_PERCENT / 100),
    },
    intervalMs: config.pipeline.flowStorePollIntervalMs,
    maxWaitingSpans: maxWaitingSpans(config),
  };
}

/**
 * How many spans may wait while the exporters keep up: one batch that fills, those that are sent, and one read. More would
 * only cost memory. `flow_span_queue_capacity` and `decorated_span_queue_capacity` may say less, but not less than one batch
 * and one read.
 */
export function maxWaitingSpans({ pipeline, export: { otlp } }: Pick<Config, "pipeline" | "export">): number {
  const batch = otlp?.maxBatchSize ?? 0;
  const flowing = batch * (1 + (otlp?.maxConcurrentExports ?? 1)) + RECORDS_PER_READ;
  const allowed = Math.min(pipeline.flowSpanQueueCapacity, pipeline.decoratedSpanQueueCapacity);
  return Math.max(Math.min(flowing, allowed), batch + RECORDS_PER_READ);
}
