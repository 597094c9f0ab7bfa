/** The exporter for OTLP receivers. */

import type { FlowSpan } from "../../flow/span.ts";
import type { Logger } from "../../log.ts";
import type { Exporter, ExporterStats } from "../exporter.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { OtlpConfig } from "./config.ts";
import { RequestEncoder, type ResourceAttributes, type Scope } from "./encoder.ts";
import { ExportLog } from "./export_log.ts";
import { GrpcTransport } from "./grpc.ts";
import { HttpTransport, tracesUrl } from "./http.ts";
import { BatchQueue } from "./queue.ts";
import { Sender } from "./sender.ts";
import type { Transport } from "./transport.ts";

export interface OtlpExporterOptions {
  readonly config: OtlpConfig;
  readonly resource: ResourceAttributes;
  readonly scope: Scope;
  readonly logger: Logger;
  /** For tests; otherwise as `config` says. */
  readonly transport?: Transport;
  readonly clock?: Clock;
  /** From 0 to below 1. */
  readonly random?: () => number;
}

/** Encodes spans as they come and sends them in batches; what the collector does not take waits, within limits. */
export class OtlpExporter implements Exporter {
  readonly name = "otlp";
  readonly #sender: Sender<FlowSpan>;
  readonly #log: ExportLog;

  /** @throws TypeError if the endpoint is no URL or a header can't be sent. */
  constructor(options: OtlpExporterOptions) {
    const { config, scope, clock = systemClock, random = Math.random } = options;
    const queue = new BatchQueue(new RequestEncoder(options.resource, scope), {
      maxBatchSize: Math.min(config.maxBatchSize, config.maxQueueSize),
      maxQueueSize: config.maxQueueSize,
      // One fills while the others are sent.
      maxSpareBuffers: config.maxConcurrentExports + 1,
    });
    const transport = options.transport ?? createTransport(config, `${scope.name}/${scope.version}`);
    this.#log = new ExportLog(options.logger, shownEndpoint(config), clock);
    this.#sender = new Sender({ queue, transport, limits: config, log: this.#log, clock, random });
  }

  get stats(): ExporterStats {
    return this.#sender.stats;
  }

  start(): void {
    // The first request opens the connection.
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
  const options = { endpoint: config.endpoint, headers: config.headers, timeoutMs: config.timeoutMs, userAgent };
  switch (config.protocol) {
    case "grpc":
      return new GrpcTransport(options);
    case "http_binary":
      return new HttpTransport(options);
  }
}

/** The address that spans go to, without user name, password and query: these may be secrets. */
function shownEndpoint(config: OtlpConfig): string {
  const { origin, pathname } = tracesUrl(config.endpoint);
  return config.protocol === "grpc" ? origin : origin + pathname;
}
