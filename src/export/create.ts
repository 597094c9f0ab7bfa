/** The exporters that a configuration asks for. */

import type { Logger } from "../log.ts";
import type { Exporter, ExportMeasures } from "./exporter.ts";
import { type OtlpConfig, OtlpExporter, type ResourceAttributes, type Scope } from "./otlp/mod.ts";
import { type StdoutConfig, StdoutExporter, type Writer } from "./stdout/mod.ts";

export interface ExportOptions {
  config: { readonly otlp?: OtlpConfig; readonly stdout?: StdoutConfig };
  resource: ResourceAttributes;
  scope: Scope;
  stdout: {
    writer: Writer;
    isTerminal: boolean;
    useColors: boolean;
    /** Called when nobody reads standard output any more; returns whether the agent ends for that. */
    onClosed: () => boolean;
  };
  logger: Logger;
  measures: ExportMeasures;
}

/** @throws {TypeError} or {RangeError} for what the configuration's checks let through and an exporter cannot do. */
export function createExporters({ config, resource, scope, stdout, logger, measures }: ExportOptions): Exporter[] {
  const exporters: Exporter[] = [];
  if (config.otlp) {
    exporters.push(new OtlpExporter({ config: config.otlp, resource, scope, logger: logger.child("otlp"), measures }));
  }
  if (config.stdout) {
    exporters.push(new StdoutExporter({ ...config.stdout, ...stdout, resource, logger: logger.child("stdout") }));
  }
  return exporters;
}
