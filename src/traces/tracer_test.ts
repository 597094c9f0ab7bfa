import assert from "node:assert/strict";
import { loadConfig } from "../settings.ts";
import { document, type Plain, sources } from "../config/testing.ts";
import { FakeExporter, FakeLogger } from "../export/testing.ts";
import type { FlowSpan } from "../flow/span.ts";
import { OWN_ATTRIBUTES, OwnSpan } from "./own_span.ts";
import { createTracer, Tracer } from "./tracer.ts";

/** What is written to standard output for one span, with `traces` as the settings. */
async function written(traces: { [name: string]: Plain }): Promise<string> {
  const { config } = loadConfig(sources({ path: "f", parse: () => document({ internal: { traces } }) }));
  let text = "";
  const writer = {
    write: (bytes: Uint8Array) => {
      text += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
  };
  const resource = { "service.name": "mermin" };
  const scope = { name: "mermin", version: "1" };
  const tracer = createTracer({ config: config.ownTraces, resource, scope, writer, logger: new FakeLogger() });
  await tracer.start();
  tracer.record("agent.stop", performance.now() - 250, { "mermin.flows.lost": 3, "error.message": 'no "way"' });
  await tracer.stop(performance.now() + 1000);
  return text;
}

Deno.test("createTracer() writes the agent's own spans in each format", async () => {
  const head = /^\d{4}-\d\d-\d\dT[\d:.]+Z trace agent\.stop \d{3,}\.\d ms trace_id=[0-9a-f]{32}/;
  const line = await written({ stdout: "text" });
  assert.match(line, head);
  assert.ok(line.endsWith(' mermin.flows.lost=3 error.message="no \\"way\\""\n'), line);
  const indented = await written({ stdout: "text_indent" });
  assert.match(indented, head);
  assert.ok(indented.endsWith('\n    mermin.flows.lost=3\n    error.message="no \\"way\\""\n'), indented);
  for (const format of ["json", "json_indent"]) {
    const span = JSON.parse(await written({ stdout: format }));
    assert.equal(span.name, "agent.stop");
    assert.deepEqual(span.attributes, { "mermin.flows.lost": 3, "error.message": 'no "way"' });
    assert.deepEqual(span.resource, { "service.name": "mermin" });
    const lastedMs = Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6;
    assert.ok(lastedMs >= 250 && lastedMs < 60_000, String(lastedMs));
  }
});

Deno.test("createTracer() leaves out the attributes of compact spans", async () => {
  assert.deepEqual(JSON.parse(await written({ stdout: "json", span_format: "compact" })).attributes, {});
  assert.doesNotMatch(await written({ stdout: "text", span_format: "compact" }), /mermin\./);
});

Deno.test("createTracer() records nothing when it is not told where to", async () => {
  assert.equal(await written({}), "");
});

Deno.test("Tracer gives every span ids of its own", () => {
  const exporter = new FakeExporter();
  const ids = new Set<string>();
  const seen: FlowSpan[] = [];
  exporter.export = (span) => {
    seen.push(span);
    ids.add(span.traceId.toHex()).add(span.spanId.toHex());
  };
  const tracer = new Tracer([exporter]);
  for (let i = 0; i < 3; i++) tracer.record("producer.sweep", performance.now(), { "mermin.spans": i });
  assert.equal(ids.size, 6);
  assert.ok(seen.every((span) => span instanceof OwnSpan));
});

Deno.test("OWN_ATTRIBUTES have names of their own", () => {
  const names = OWN_ATTRIBUTES.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});
