export type { OtlpConfig } from "./config.ts";
export type { ResourceAttributes, Scope } from "./encoder.ts";
export { OtlpExporter, type OtlpExporterOptions } from "./otlp_exporter.ts";
