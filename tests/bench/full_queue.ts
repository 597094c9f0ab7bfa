/**
 * Memory of an export queue that is full because the collector is away:
 * `deno run --allow-net=127.0.0.1 --allow-sys --allow-env tests/bench/full_queue.ts PROTOCOL COMPRESSION`.
 */

import { type OtlpConfig, OtlpExporter } from "../../src/export/otlp/mod.ts";
import { otlpConfig } from "../../src/export/otlp/testing.ts";
import { createMeasures, FakeLogger, flowSpan } from "../../src/export/testing.ts";
import { sleep } from "../harness/wait.ts";

const MIB = 2 ** 20;
/** Twice as many spans as the queue holds. */
const BATCHES = 128;
const SPANS = 512;

const [protocol, compression] = Deno.args as [OtlpConfig["protocol"], OtlpConfig["compression"]];
const exporter = new OtlpExporter({
  // Nobody listens there.
  config: otlpConfig({ endpoint: "http://127.0.0.1:9", protocol, compression }),
  resource: { "service.name": "mermin" },
  scope: { name: "mermin", version: "0" },
  logger: new FakeLogger(),
  measures: createMeasures(),
});
const span = flowSpan();
const before = Deno.memoryUsage().rss;
let peak = 0;
for (let batch = 0; batch < BATCHES; batch++) {
  for (let i = 0; i < SPANS; i++) {
    crypto.getRandomValues(span.traceId);
    crypto.getRandomValues(span.spanId);
    span.communityId = `1:${crypto.getRandomValues(new Uint8Array(20)).toBase64()}`;
    span.sourceAddress = `10.${i % 256}.3.${Math.floor(Math.random() * 256)}`;
    span.sourcePort = Math.floor(Math.random() * 65_536);
    span.bytesDelta = Math.floor(Math.random() * 1e6);
    exporter.export(span);
  }
  await sleep(10);
  peak = Math.max(peak, Deno.memoryUsage().rss);
}
const { queued, lost } = exporter.stats;
console.log(`${protocol}, ${compression}: ${queued} spans wait, ${lost.queue_full} dropped`);
console.log(`RSS ${Math.round(before / MIB)} MiB before, ${Math.round(peak / MIB)} MiB at the peak`);
await exporter.stop();
