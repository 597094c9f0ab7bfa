/** Flows through the real transports into a real OpenTelemetry Collector, which decodes them independently. */

import { deepEqual, equal } from "node:assert/strict";
import type { FlowSpan, U64 } from "../../src/flow/span.ts";
import { OtlpExporter } from "../../src/export/otlp/mod.ts";
import { otlpConfig } from "../../src/export/otlp/testing.ts";
import {
  attributesOf,
  createMeasures,
  FakeLogger,
  flowSpan,
  randomFlowSpan,
  seededRandom,
  setNs,
} from "../../src/export/testing.ts";
import { Collector } from "../harness/collector.ts";
import { freePorts, until } from "../harness/wait.ts";

const FLOWS = 1300;
const RESOURCE = { "service.name": "mermin", "host.ip": ["10.0.0.1", "fd00::1"], "host.cpu.count": 2 };
/** Longer than a busy machine takes for anything. */
const LIMITS = { timeoutMs: 120_000, maxExportTimeoutMs: 120_000 };
const PATIENCE_MS = 120_000;

const nanoseconds = (time: U64) => (BigInt(time.hi) << 32n) | BigInt(time.lo);

/** What the Collector should write for `span`. */
const expected = (span: FlowSpan) => ({
  traceId: span.traceId.toHex(),
  spanId: span.spanId.toHex(),
  name: span.name,
  kind: span.kind as number,
  startNs: nanoseconds(span.startNs),
  endNs: nanoseconds(span.endNs),
  attributes: attributesOf(span),
  resource: RESOURCE,
  scopeName: "mermin",
  scopeVersion: "0.1.0",
});

for (const protocol of ["grpc", "http_binary", "http_json"] as const) {
  for (const [maxConcurrentExports, compression] of [[1, "none"], [3, "none"], [1, "gzip"]] as const) {
    const how = `${protocol}, ${maxConcurrentExports} at a time, compression ${compression}`;
    Deno.test(`a Collector decodes every flow sent over ${how}`, async () => {
      await using collector = await Collector.start();
      const endpoint = protocol === "grpc" ? collector.grpcEndpoint : collector.httpEndpoint;
      const logger = new FakeLogger();
      const exporter = new OtlpExporter({
        config: otlpConfig({ ...LIMITS, endpoint, protocol, maxConcurrentExports, compression }),
        resource: RESOURCE,
        scope: { name: "mermin", version: "0.1.0" },
        logger,
        measures: createMeasures(),
      });
      exporter.start();
      const random = seededRandom(42);
      const sent = Array.from({ length: FLOWS }, () => {
        const span = random() < 0.8 ? flowSpan({ bytesDelta: Math.floor(random() * 2 ** 40) }) : randomFlowSpan(random);
        for (let i = 0; i < 8; i++) span.spanId[i] = 1 + Math.floor(random() * 255);
        // The Collector's JSON leaves empty fields out.
        span.name ||= "flow";
        setNs(span.endNs, nanoseconds(span.endNs) + 1n);
        setNs(span.startNs, 1_700_000_000_000_000_000n + BigInt(Math.floor(random() * 1e15)));
        exporter.export(span);
        return expected(span);
      });
      await exporter.flush(performance.now() + PATIENCE_MS);
      await exporter.stop();
      equal(exporter.stats.delivered, FLOWS);
      deepEqual([exporter.stats.lost, exporter.stats.queued, logger.lines], [{}, 0, []]);
      const received = await collector.stop();
      const byId = (a: { spanId: string }, b: { spanId: string }) => a.spanId < b.spanId ? -1 : 1;
      deepEqual(received.sort(byId).map((span) => ({ ...span })), sent.sort(byId));
    });
  }
}

for (const protocol of ["grpc", "http_binary", "http_json"] as const) {
  Deno.test(`flows for a Collector that is away wait and arrive later, once, over ${protocol}`, async () => {
    await using collector = await Collector.start();
    const target = new URL(protocol === "grpc" ? collector.grpcEndpoint : collector.httpEndpoint);
    const [port] = freePorts(1);
    const logger = new FakeLogger();
    const exporter = new OtlpExporter({
      config: otlpConfig({ ...LIMITS, endpoint: `http://127.0.0.1:${port}`, protocol }),
      resource: RESOURCE,
      scope: { name: "mermin", version: "0.1.0" },
      logger,
      measures: createMeasures(),
    });
    const sendSome = async (timeoutMs: number) => {
      for (let i = 0; i < 600; i++) exporter.export(flowSpan());
      await exporter.flush(performance.now() + timeoutMs);
      return [exporter.stats.delivered, exporter.stats.queued];
    };
    {
      await using _road = new Forwarder(port, Number(target.port));
      deepEqual(await sendSome(PATIENCE_MS), [600, 0]);
    }
    deepEqual(await sendSome(200), [600, 600]);
    await until("a line about the failure", () => logger.lines.includes("error export_failing"));
    {
      await using _road = new Forwarder(port, Number(target.port));
      deepEqual(await sendSome(PATIENCE_MS), [1800, 0]);
      await exporter.stop();
    }
    deepEqual(exporter.stats.lost, {});
    deepEqual(logger.lines, ["error export_failing", "info export_recovered"]);
    equal((await collector.stop()).length, 1800);
  });
}

for (const maxConcurrentExports of [1, 4]) {
  Deno.test(`a Collector that ends its connections every 50 ms gets every flow once, ${maxConcurrentExports} at a time`, async () => {
    await using collector = await Collector.start("file", { maxConnectionAge: "50ms" });
    const [port] = freePorts(1);
    await using road = new Forwarder(port, Number(new URL(collector.grpcEndpoint).port));
    const logger = new FakeLogger();
    const exporter = new OtlpExporter({
      config: otlpConfig({ ...LIMITS, endpoint: `http://127.0.0.1:${port}`, maxConcurrentExports, maxBatchSize: 100 }),
      resource: RESOURCE,
      scope: { name: "mermin", version: "0.1.0" },
      logger,
      measures: createMeasures(),
    });
    exporter.start();
    const sent = new Set<string>();
    while (road.accepted < 20) {
      for (let i = 0; i < FLOWS; i++) {
        const span = flowSpan();
        crypto.getRandomValues(span.spanId);
        sent.add(span.spanId.toHex());
        exporter.export(span);
      }
      await exporter.flush(performance.now() + PATIENCE_MS);
    }
    await exporter.stop();
    deepEqual(
      [exporter.stats.delivered, exporter.stats.lost, exporter.stats.retries],
      [sent.size, {}, 0],
      logger.lines.join(),
    );
    const received = (await collector.stop()).map(({ spanId }) => spanId);
    deepEqual([received.length, new Set(received)], [sent.size, sent]);
  });
}

/** Passes TCP connections on to another port of this host until it is disposed of. */
class Forwarder implements AsyncDisposable {
  accepted = 0;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #accepting: Promise<void>;

  constructor(port: number, targetPort: number) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port });
    this.#accepting = this.#accept(targetPort);
  }

  async #accept(targetPort: number): Promise<void> {
    const pipes: Promise<unknown>[] = [];
    for await (const near of this.#listener) {
      this.accepted++;
      const far = await Deno.connect({ hostname: "127.0.0.1", port: targetPort });
      this.#connections.add(near).add(far);
      // Whoever ends a connection ends both pipes, one of them with an error.
      pipes.push(Promise.allSettled([near.readable.pipeTo(far.writable), far.readable.pipeTo(near.writable)]));
    }
    await Promise.all(pipes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch (error) {
        // A pipe that came to its end has closed it already.
        if (!(error instanceof Deno.errors.BadResource)) throw error;
      }
    }
    await this.#accepting;
  }
}
