/** Records spans about what the agent itself does. */

import type { Exporter } from "../export/exporter.ts";
import { OtlpExporter, type ResourceAttributes, type Scope } from "../export/otlp/mod.ts";
import { JsonFormatter } from "../export/stdout/json.ts";
import { StdoutExporter, type Writer } from "../export/stdout/mod.ts";
import { SpanKind } from "../flow/span.ts";
import type { Logger } from "../log.ts";
import { Histogram } from "../metrics/histogram.ts";
import type { OwnTracesConfig } from "./config.ts";
import { OwnTextFormatter } from "./format.ts";
import { OWN_ATTRIBUTES, OwnSpan, type OwnSpanName, type OwnValues } from "./own_span.ts";

export interface TracerOptions {
  /** `undefined`: nothing is recorded. */
  config: OwnTracesConfig | undefined;
  resource: ResourceAttributes;
  scope: Scope;
  writer: Writer;
  logger: Logger;
}

/** The exporters of the agent's own spans; they are others than those of the flows, whose counts they do not touch. */
export function createTracer({ config, resource, scope, writer, logger }: TracerOptions): Tracer {
  const exporters: Exporter[] = [];
  const attributes = config?.spanFormat === "compact" ? [] : OWN_ATTRIBUTES;
  const measures = { batchSize: new Histogram([]), exportOut: new Histogram([]) };
  const common = { resource, logger: logger.child("traces") };
  if (config?.otlp) {
    exporters.push(new OtlpExporter({ ...common, config: config.otlp, scope, measures, attributes }));
  }
  if (config?.stdout) {
    const { format } = config.stdout;
    const isIndented = format.endsWith("_indent");
    const formatter = format.startsWith("json")
      ? new JsonFormatter(resource, isIndented, attributes)
      : new OwnTextFormatter(attributes, isIndented);
    exporters.push(new StdoutExporter({ ...common, format, formatter, writer, isTerminal: false }));
  }
  return new Tracer(exporters);
}

/** Does nothing without exporters. */
export class Tracer {
  readonly #exporters: readonly Exporter[];
  readonly #span = new OwnSpan();

  constructor(exporters: readonly Exporter[]) {
    this.#exporters = exporters;
  }

  async start(): Promise<void> {
    for (const exporter of this.#exporters) await exporter.start();
  }

  /** What began at `startMs` (`performance.now()` time) is done now. */
  record(name: OwnSpanName, startMs: number, values: OwnValues): void {
    if (this.#exporters.length === 0) return;
    const span = this.#span;
    const endMs = Date.now();
    crypto.getRandomValues(span.traceId);
    crypto.getRandomValues(span.spanId);
    setMs(span.startNs, endMs - (performance.now() - startMs));
    setMs(span.endNs, endMs);
    Object.assign(span, { name, values, kind: SpanKind.INTERNAL });
    for (const exporter of this.#exporters) exporter.export(span);
  }

  /** Sends what is left, until `untilMs` (`performance.now()` time). */
  async stop(untilMs: number): Promise<void> {
    await Promise.all(this.#exporters.map((exporter) => exporter.flush(untilMs)));
    await Promise.all(this.#exporters.map((exporter) => exporter.stop()));
  }
}

/** Sets both halves from milliseconds since the Unix epoch, to the microsecond. */
function setMs(time: { lo: number; hi: number }, ms: number): void {
  const ns = BigInt(Math.round(ms * 1000)) * 1000n;
  time.lo = Number(ns & 0xffff_ffffn);
  time.hi = Number(ns >> 32n);
}
