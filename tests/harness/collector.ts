/** A real OpenTelemetry Collector at the end of the path. */

import { readSpans, type SpanRecord } from "./otlp_json.ts";
import { Process } from "./process.ts";
import { fetchMetrics, type Metrics } from "./metrics.ts";
import { freePorts, until } from "./wait.ts";

/** Built by `tools/setup` and put on `PATH` by `tools/env`. */
const PROGRAM = "otelcol";

/** What the Collector does with spans: write them as JSON lines, or drop them after counting. */
export type Sink = "file" | "nop";

/** A Collector on free loopback ports. */
export class Collector implements AsyncDisposable {
  readonly grpcEndpoint: string;
  readonly httpEndpoint: string;
  readonly #metricsPort: number;
  readonly #directory: string;
  readonly #process: Process;

  private constructor(process: Process, directory: string, ports: number[]) {
    this.#process = process;
    this.#directory = directory;
    this.grpcEndpoint = `http://127.0.0.1:${ports[0]}`;
    this.httpEndpoint = `http://127.0.0.1:${ports[1]}`;
    this.#metricsPort = ports[2];
  }

  /** Resolves when it accepts spans over gRPC and HTTP. */
  static async start(sink: Sink = "file"): Promise<Collector> {
    const directory = await Deno.makeTempDir({ prefix: "mermin-collector-" });
    const ports = freePorts(3);
    await Deno.writeTextFile(`${directory}/config.yaml`, config(sink, `${directory}/spans.jsonl`, ports));
    const process = Process.start([PROGRAM, "--config", `${directory}/config.yaml`]);
    const collector = new Collector(process, directory, ports);
    try {
      await process.waitForLine(/Everything is ready/);
    } catch (error) {
      await collector[Symbol.asyncDispose]();
      throw error;
    }
    return collector;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The spans written so far. */
  async spans(): Promise<SpanRecord[]> {
    return readSpans(await Deno.readTextFile(`${this.#directory}/spans.jsonl`));
  }

  /** Resolves with all spans so far as soon as they satisfy `condition`. */
  async waitForSpans(what: string, condition: (spans: SpanRecord[]) => boolean): Promise<SpanRecord[]> {
    return await until(what, async () => {
      const spans = await this.spans();
      return condition(spans) ? spans : undefined;
    });
  }

  /** Spans that both receivers accepted, by the Collector's own count. */
  async acceptedSpans(): Promise<number> {
    const metrics: Metrics = await fetchMetrics(`http://127.0.0.1:${this.#metricsPort}/metrics`);
    return metrics.sum(/^otelcol_receiver_accepted_spans/);
  }

  /** Stops it in order, so that the file is complete, and returns all spans. */
  async stop(): Promise<SpanRecord[]> {
    this.#process.signal("SIGTERM");
    const { code } = await this.#process.exited;
    if (code !== 0) throw new Error(`The Collector ended with ${code}:\n${this.#process.output}`);
    return await this.spans();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** YAML is a superset of JSON. */
function config(sink: Sink, path: string, [grpcPort, httpPort, metricsPort]: number[]): string {
  const protocols = {
    grpc: { endpoint: `127.0.0.1:${grpcPort}` },
    http: { endpoint: `127.0.0.1:${httpPort}` },
  };
  const prometheus = { host: "127.0.0.1", port: metricsPort };
  return JSON.stringify({
    receivers: { otlp: { protocols } },
    exporters: sink === "file" ? { file: { path, flush_interval: "100ms" } } : { nop: null },
    service: {
      telemetry: { metrics: { level: "normal", readers: [{ pull: { exporter: { prometheus } } }] } },
      pipelines: { traces: { receivers: ["otlp"], exporters: [sink] } },
    },
  });
}
