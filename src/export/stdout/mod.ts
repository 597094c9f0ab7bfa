export type { StdoutConfig } from "./config.ts";
export { StdoutExporter, type StdoutExporterOptions, type Writer } from "./stdout_exporter.ts";
