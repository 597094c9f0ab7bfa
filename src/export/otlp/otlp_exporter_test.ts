import { deepEqual, equal, throws } from "node:assert/strict";
import { FakeClock, FakeLogger, flowSpan, settled } from "../testing.ts";
import type { OtlpConfig } from "./config.ts";
import { OtlpExporter } from "./otlp_exporter.ts";
import { FakeTransport } from "./testing.ts";

const CONFIG: OtlpConfig = {
  endpoint: "http://user:secret@collector:4317/?token=secret",
  protocol: "grpc",
  timeoutMs: 10_000,
  maxExportTimeoutMs: 10_000,
  maxBatchSize: 512,
  maxBatchIntervalMs: 5000,
  maxQueueSize: 32_768,
  maxConcurrentExports: 1,
  headers: {},
};

function setUp(change: Partial<OtlpConfig> = {}, transport?: FakeTransport) {
  const clock = new FakeClock();
  const logger = new FakeLogger();
  const exporter = new OtlpExporter({
    config: { ...CONFIG, ...change },
    resource: { "service.name": "mermin" },
    scope: { name: "mermin", version: "0.1.0" },
    logger,
    transport,
    clock,
  });
  return { exporter, clock, logger };
}

Deno.test("OtlpExporter sends what a span was at the time of export()", async () => {
  const transport = new FakeTransport({ kind: "delivered", rejectedSpans: 0, message: "" });
  const { exporter } = setUp({ maxBatchSize: 2 }, transport);
  const span = flowSpan({ name: "first" });
  exporter.export(span);
  span.name = "second";
  exporter.export(span);
  span.name = "third";
  await settled();
  const body = new TextDecoder().decode(transport.requests[0].body);
  deepEqual(["first", "second", "third"].map((name) => body.includes(name)), [true, true, false]);
  equal(exporter.stats.delivered, 2);
});

Deno.test("OtlpExporter never makes a batch that the queue can't hold", async () => {
  const transport = new FakeTransport({ kind: "delivered", rejectedSpans: 0, message: "" });
  const { exporter } = setUp({ maxBatchSize: 100, maxQueueSize: 10 }, transport);
  for (let i = 0; i < 20; i++) {
    exporter.export(flowSpan());
    await settled();
  }
  deepEqual([exporter.stats.delivered, exporter.stats.lost], [20, {}]);
});

Deno.test("OtlpExporter keeps secrets of the endpoint out of the log", async () => {
  const { exporter, logger } = setUp({}, new FakeTransport({ kind: "refused", code: "http_401", message: "" }));
  exporter.export(flowSpan());
  await exporter.flush(Infinity);
  deepEqual(logger.fields.map((fields) => fields.endpoint), ["http://collector:4317"]);
});

Deno.test("OtlpExporter.stop() says how much was not delivered", async () => {
  const transport = new FakeTransport();
  const { exporter, logger } = setUp({}, transport);
  exporter.export(flowSpan());
  await exporter.stop();
  deepEqual([logger.lines, transport.isClosed], [["warn export_incomplete"], true]);
});

for (const protocol of ["grpc", "http_binary"] as const) {
  Deno.test(`OtlpExporter refuses an endpoint that is no URL over ${protocol}`, () => {
    throws(() => setUp({ endpoint: "collector", protocol }), TypeError);
  });
}
