/** The exporter for OTLP receivers. */

import type { FlowSpan } from "../../flow/span.ts";
import type { Logger } from "../../log.ts";
import type { SpanAttribute } from "../attributes.ts";
import type { Exporter, ExporterStats, ExportMeasures } from "../exporter.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { OtlpConfig } from "./config.ts";
import { authorization, DiscreetTransport, Redactor, requestHeaders } from "./auth.ts";
import { RequestEncoder, type ResourceAttributes, type Scope } from "./encoder.ts";
import { ExportLog } from "./export_log.ts";
import { GrpcTransport } from "./grpc.ts";
import { gzip } from "./gzip.ts";
import { HttpTransport, tracesUrl } from "./http.ts";
import { JsonRequestEncoder } from "./json_encoder.ts";
import { BatchQueue } from "./queue.ts";
import { Sender } from "./sender.ts";
import type { Transport } from "./transport.ts";

export interface OtlpExporterOptions {
  readonly config: OtlpConfig;
  readonly resource: ResourceAttributes;
  readonly scope: Scope;
  readonly logger: Logger;
  readonly measures: ExportMeasures;
  /** Of other spans than flows; otherwise those of flows. */
  readonly attributes?: readonly SpanAttribute[];
  /** For tests; otherwise as `config` says. */
  readonly transport?: Transport;
  readonly clock?: Clock;
  /** From 0 to below 1. */
  readonly random?: () => number;
}

/** Encodes spans as they come and sends them in batches; what the collector does not take waits, within limits. */
export class OtlpExporter implements Exporter {
  readonly name = "otlp";
  readonly #config: OtlpConfig;
  readonly #transport: Transport;
  readonly #sender: Sender<FlowSpan>;
  readonly #log: ExportLog;

  /** @throws TypeError if the endpoint is no URL or a header can't be sent. */
  constructor(options: OtlpExporterOptions) {
    const { config, scope, measures, clock = systemClock, random = Math.random } = options;
    const Encoder = config.protocol === "http_json" ? JsonRequestEncoder : RequestEncoder;
    const limits = {
      maxBatchSize: Math.min(config.maxBatchSize, config.maxQueueSize),
      maxQueueSize: config.maxQueueSize,
      // One fills while the others are sent.
      maxSpareBuffers: config.maxConcurrentExports + 1,
    };
    const compress = config.compression === "gzip" ? gzip : undefined;
    const queue = new BatchQueue(new Encoder(options.resource, scope, options.attributes), limits, compress);
    const inner = options.transport ?? createTransport(config, `${scope.name}/${scope.version}`);
    const transport = new DiscreetTransport(inner, new Redactor(config));
    this.#config = config;
    this.#transport = transport;
    this.#log = new ExportLog(options.logger, shownEndpoint(config), clock);
    this.#sender = new Sender({ queue, transport, limits: config, log: this.#log, measures, clock, random });
  }

  get stats(): ExporterStats {
    return this.#sender.stats;
  }

  /** The first request opens the connection. @throws {TlsFileError} when a file of the `tls` settings cannot be used */
  start(): void {
    this.#transport.prepare();
    const { auth, endpoint, tls } = this.#config;
    const isEncrypted = new URL(endpoint).protocol === "https:";
    if (!isEncrypted && authorization(auth) !== undefined) this.#log.unencrypted();
    if (isEncrypted && tls?.insecureSkipVerify) this.#log.unverified();
  }

  set onSettled(listener: () => void) {
    this.#sender.onSettled = listener;
  }

  export(span: FlowSpan): void {
    this.#sender.push(span);
  }

  flush(deadlineMs: number): Promise<void> {
    return this.#sender.flush(deadlineMs);
  }

  async stop(): Promise<void> {
    await this.#sender.stop();
    this.#log.stopped(this.stats.lost.shutdown ?? 0);
  }
}

function createTransport(config: OtlpConfig, userAgent: string): Transport {
  const { endpoint, timeoutMs, compression, tls } = config;
  const options = { endpoint, timeoutMs, compression, tls, userAgent, headers: requestHeaders(config) };
  switch (config.protocol) {
    case "grpc":
      return new GrpcTransport(options);
    case "http_binary":
      return new HttpTransport({ ...options, encoding: "protobuf" });
    case "http_json":
      return new HttpTransport({ ...options, encoding: "json" });
  }
}

/** The address that spans go to, without user name, password and query: these may be secrets. */
function shownEndpoint(config: OtlpConfig): string {
  const { origin, pathname } = tracesUrl(config.endpoint);
  return config.protocol === "grpc" ? origin : origin + pathname;
}
