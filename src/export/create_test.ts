import assert from "node:assert/strict";
import { document, type Plain, sources } from "../config/testing.ts";
import { loadConfig } from "../settings.ts";
import { createExporters } from "./create.ts";
import { createMeasures, FakeLogger } from "./testing.ts";

Deno.test("createExporters() makes what the configuration names, standard output when it names nothing", async () => {
  const cases: [traces: { [name: string]: Plain }, names: string[]][] = [
    [{}, ["stdout"]],
    [{ stdout: "text" }, ["stdout"]],
    [{ otlp: {} }, ["otlp"]],
    [{ stdout: "text", otlp: { protocol: "http_binary" } }, ["otlp", "stdout"]],
  ];
  for (const [traces, names] of cases) {
    const file = { export: { traces } };
    const { config } = loadConfig(sources({ path: "f", parse: () => document(file) }));
    const exporters = createExporters({
      config: config.export,
      resource: {},
      scope: { name: "test", version: "1" },
      stdout: {
        writer: { write: (bytes) => Promise.resolve(bytes.length) },
        isTerminal: false,
        useColors: false,
        onClosed: () => false,
      },
      logger: new FakeLogger(),
      measures: createMeasures(),
    });
    assert.deepEqual(exporters.map(({ name }) => name), names);
    for (const exporter of exporters) await exporter.stop();
  }
});
