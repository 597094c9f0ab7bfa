import { deepEqual, equal, throws } from "node:assert/strict";
import { createMeasures, FakeClock, FakeLogger, flowSpan, settled } from "../testing.ts";
import type { OtlpConfig } from "./config.ts";
import { OtlpExporter } from "./otlp_exporter.ts";
import { FakeTransport, otlpConfig } from "./testing.ts";
import { DEFAULT_TLS } from "./transport.ts";

const CONFIG = otlpConfig({ endpoint: "http://user:secret@collector:4317/?token=secret" });

function setUp(change: Partial<OtlpConfig> = {}, transport?: FakeTransport) {
  const clock = new FakeClock();
  const logger = new FakeLogger();
  const exporter = new OtlpExporter({
    config: { ...CONFIG, ...change },
    resource: { "service.name": "mermin" },
    scope: { name: "mermin", version: "0.1.0" },
    logger,
    measures: createMeasures(),
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

Deno.test("an OtlpExporter can be replaced: the old one delivers what it has, and both count exactly", async () => {
  const transports = [new FakeTransport(), new FakeTransport({ kind: "delivered", rejectedSpans: 0, message: "" })];
  const [old, next] = transports.map((transport) => setUp({ maxBatchSize: 2 }, transport));
  for (let i = 0; i < 5; i++) old.exporter.export(flowSpan());
  const replaced = old.exporter.flush(old.clock.now() + 5000).then(() => old.exporter.stop());
  for (let i = 0; i < 3; i++) next.exporter.export(flowSpan());
  await next.exporter.flush(Infinity);
  deepEqual([next.exporter.stats.delivered, old.exporter.stats.queued], [3, 5]);
  transports[0].reply = { kind: "delivered", rejectedSpans: 0, message: "" };
  for (const request of transports[0].pending) request.answer(transports[0].reply);
  await replaced;
  deepEqual([old.exporter.stats.delivered, old.exporter.stats.lost, transports[0].isClosed], [5, {}, true]);
});

const WARNINGS: [name: string, change: Partial<OtlpConfig>, lines: string[]][] = [
  ["a token without encryption", { endpoint: "http://c", auth: { basic: undefined, bearer: "x" } }, [
    "warn export_unencrypted",
  ]],
  ["an unchecked certificate", { endpoint: "https://c", tls: { ...DEFAULT_TLS, insecureSkipVerify: true } }, [
    "warn export_unverified",
  ]],
  ["a token over TLS", { endpoint: "https://c", auth: { basic: undefined, bearer: "x" } }, []],
  ["nothing without encryption", { endpoint: "http://c" }, []],
];

for (const [name, change, lines] of WARNINGS) {
  Deno.test(`OtlpExporter.start() warns of what is open to others: ${name}`, () => {
    const { exporter, logger } = setUp(change, new FakeTransport());
    exporter.start();
    deepEqual(logger.lines, lines);
  });
}

for (const protocol of ["grpc", "http_binary", "http_json"] as const) {
  Deno.test(`OtlpExporter refuses an endpoint that is no URL over ${protocol}`, () => {
    throws(() => setUp({ endpoint: "collector", protocol }), TypeError);
  });
}
