/** A real OpenTelemetry Collector at the end of the path. */

import type { Certificate } from "./certificates.ts";
import type { Namespace } from "./netns.ts";
import { readSpans, type SpanRecord } from "./otlp_json.ts";
import { Process } from "./process.ts";
import { fetchMetrics, type Metrics } from "./metrics.ts";
import { freePorts, until } from "./wait.ts";

/** Built by `tools/setup` and put on `PATH` by `tools/env`. */
const PROGRAM = "otelcol";

/** What the Collector does with spans: write them as JSON lines, or drop them after counting. */
export type Sink = "file" | "nop";

/** What its receivers ask of who sends. */
export interface Receiver {
  /** Encryption; with `clientCa` only those are let in that have a certificate of that authority. Paths of files. */
  tls?: Certificate & { clientCa?: string };
  /** The authorization header that is let in, as in `Bearer abc`. */
  authorization?: string;
  /** Go duration after which gRPC connections are ended, in order. */
  maxConnectionAge?: string;
}

/** A Collector on free loopback ports. */
export class Collector implements AsyncDisposable {
  readonly grpcEndpoint: string;
  readonly httpEndpoint: string;
  readonly #metricsPort: number;
  readonly #directory: string;
  readonly #process: Process;

  private constructor(process: Process, directory: string, ports: number[], scheme: string) {
    this.#process = process;
    this.#directory = directory;
    this.grpcEndpoint = `${scheme}://127.0.0.1:${ports[0]}`;
    this.httpEndpoint = `${scheme}://127.0.0.1:${ports[1]}`;
    this.#metricsPort = ports[2];
  }

  /** Resolves when it accepts spans over gRPC and HTTP, on the loopback of `namespace` or of this host. */
  static async start(sink: Sink = "file", receiver: Receiver = {}, namespace?: Namespace): Promise<Collector> {
    const directory = await Deno.makeTempDir({ prefix: "mermin-collector-" });
    const ports = freePorts(3);
    await Deno.writeTextFile(`${directory}/config.yaml`, config(sink, `${directory}/spans.jsonl`, ports, receiver));
    const command = [PROGRAM, "--config", `${directory}/config.yaml`];
    const process = Process.start(namespace?.command(command) ?? command);
    const collector = new Collector(process, directory, ports, receiver.tls ? "https" : "http");
    try {
      await process.waitForLine(/Everything is ready/);
    } catch (error) {
      await collector[Symbol.asyncDispose]();
      throw error;
    }
    return collector;
  }

  /** Stops it for a while (`SIGSTOP`), or lets it go on. */
  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#process.signal(name);
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
function config(sink: Sink, path: string, ports: number[], receiver: Receiver): string {
  const { tls, authorization, maxConnectionAge } = receiver;
  const [grpcPort, httpPort, metricsPort] = ports;
  const [scheme, token] = authorization?.split(" ") ?? [];
  const common = {
    ...(tls ? { tls: { cert_file: tls.cert, key_file: tls.key, client_ca_file: tls.clientCa } } : {}),
    ...(authorization ? { auth: { authenticator: "bearertokenauth" } } : {}),
  };
  const protocols = {
    grpc: {
      endpoint: `127.0.0.1:${grpcPort}`,
      ...common,
      ...(maxConnectionAge ? { keepalive: { server_parameters: { max_connection_age: maxConnectionAge } } } : {}),
    },
    http: { endpoint: `127.0.0.1:${httpPort}`, ...common },
  };
  const prometheus = { host: "127.0.0.1", port: metricsPort };
  return JSON.stringify({
    // It compares the header as a whole, so its scheme may be another than bearer.
    extensions: authorization ? { bearertokenauth: { scheme, token } } : {},
    receivers: { otlp: { protocols } },
    exporters: sink === "file" ? { file: { path, flush_interval: "100ms" } } : { nop: null },
    service: {
      extensions: authorization ? ["bearertokenauth"] : [],
      telemetry: { metrics: { level: "normal", readers: [{ pull: { exporter: { prometheus } } }] } },
      pipelines: { traces: { receivers: ["otlp"], exporters: [sink] } },
    },
  });
}
