/** A real Jaeger that keeps traces in memory. */

import { Process } from "../harness/process.ts";
import type { AttributeValue, SpanRecord } from "../harness/otlp_json.ts";
import { freePorts } from "../harness/wait.ts";

/** Built from its Go module by `tools/setup` and put on `PATH` by `tools/env`. */
const PROGRAM = "jaeger-all-in-one";

interface Tag {
  key: string;
  type: "string" | "bool" | "int64" | "float64";
  value: string | number | boolean;
}

/** As its HTTP API writes a trace. */
interface Trace {
  spans: {
    traceID: string;
    spanID: string;
    operationName: string;
    /** Microseconds since the Unix epoch. */
    startTime: number;
    /** Microseconds. */
    duration: number;
    tags: Tag[];
    processID: string;
  }[];
  processes: Record<string, { serviceName: string; tags: Tag[] }>;
}

const KINDS: Record<string, number> = { internal: 1, server: 2, client: 3 };
/** What Jaeger makes of the rest of the span. */
const OWN_TAGS = new Set([
  "span.kind",
  "otel.scope.name",
  "otel.scope.version",
  "internal.span.format",
  "otel.library.name",
]);

export class Jaeger implements AsyncDisposable {
  readonly grpcEndpoint: string;
  readonly #process: Process;
  readonly #api: string;

  private constructor(process: Process, grpcPort: number, apiPort: number) {
    this.#process = process;
    this.grpcEndpoint = `http://127.0.0.1:${grpcPort}`;
    this.#api = `http://127.0.0.1:${apiPort}/api`;
  }

  /** Resolves when it takes OTLP over gRPC and answers queries. */
  static async start(): Promise<Jaeger> {
    const [grpcPort, apiPort, ...others] = freePorts(7);
    const listeners: Record<string, number> = {
      "collector.otlp.grpc": grpcPort,
      "query.http-server": apiPort,
      "collector.otlp.http": others[0],
      "collector.grpc-server": others[1],
      "collector.http-server": others[2],
      "query.grpc-server": others[3],
      "admin.http": others[4],
    };
    const options = Object.entries(listeners).map(([name, port]) => `--${name}.host-port=127.0.0.1:${port}`);
    const process = Process.start([PROGRAM, ...options], { SPAN_STORAGE_TYPE: "memory" });
    const jaeger = new Jaeger(process, grpcPort, apiPort);
    try {
      await process.waitForLine(/Health Check state change.*"ready"/);
    } catch (error) {
      await jaeger[Symbol.asyncDispose]();
      throw error;
    }
    return jaeger;
  }

  services(): Promise<string[]> {
    return this.#ask<string[]>("services");
  }

  /** All spans of a service, in the form in which the Collector's are read; times are whole microseconds. */
  async spans(service: string): Promise<SpanRecord[]> {
    const traces = await this.#ask<Trace[]>(`traces?service=${service}&limit=1000`);
    return traces.flatMap(({ spans, processes }) =>
      spans.map(({ traceID, spanID, operationName, startTime, duration, tags, processID }) => {
        const { serviceName, tags: resource } = processes[processID];
        const text = (key: string) => String(tags.find((tag) => tag.key === key)?.value ?? "");
        return {
          traceId: traceID,
          spanId: spanID,
          name: operationName,
          kind: KINDS[text("span.kind")] ?? 0,
          startNs: BigInt(startTime) * 1000n,
          endNs: BigInt(startTime + duration) * 1000n,
          attributes: attributesOf(tags.filter(({ key }) => !OWN_TAGS.has(key))),
          resource: { "service.name": serviceName, ...attributesOf(resource) },
          scopeName: text("otel.scope.name"),
          scopeVersion: text("otel.scope.version"),
        };
      })
    );
  }

  async #ask<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#api}/${path}`);
    const { data, errors } = await response.json();
    if (errors?.length > 0) throw new Error(`Jaeger does not answer "${path}": ${JSON.stringify(errors)}`);
    return data ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

/** Jaeger has no lists: it writes them as JSON text. */
function attributesOf(tags: Tag[]): Record<string, AttributeValue> {
  return Object.fromEntries(
    tags.map(({ key, value }) => [key, typeof value === "string" && value.startsWith("[") ? JSON.parse(value) : value]),
  );
}
