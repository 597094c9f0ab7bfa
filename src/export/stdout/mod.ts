export type { StdoutConfig } from "./config.ts";
export { StdoutExporter, type StdoutExporterOptions } from "./stdout_exporter.ts";
export { oneAtATime, type Writer } from "./writer.ts";
