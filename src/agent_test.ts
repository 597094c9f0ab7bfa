import assert from "node:assert/strict";
import { maxWaitingSpans, namespacePath } from "./agent.ts";
import { document, type Plain, sources } from "./config/testing.ts";
import { loadConfig } from "./settings.ts";

Deno.test("namespacePath() knows the names of namespaces, and takes anything else for a file", () => {
  const cases: [setting: string, path: string][] = [
    ["auto", ""],
    ["self", ""],
    ["host", "/proc/1/ns/net"],
    ["/run/netns/blue", "/run/netns/blue"],
  ];
  for (const [setting, path] of cases) assert.equal(namespacePath(setting), path);
});

Deno.test("maxWaitingSpans() lets batches flow, and never less than one batch and one read", () => {
  const READ = 512;
  const otlp = { endpoint: "http://collector:4317", max_batch_size: 1000, max_concurrent_exports: 3 };
  const cases: [otlp: { [name: string]: Plain } | undefined, queue: number, expected: number][] = [
    [otlp, 1_000_000, 1000 + 3 * 1000 + READ],
    [otlp, 2000, 2000],
    [otlp, 1, 1000 + READ],
    [undefined, 1_000_000, READ],
    [undefined, 1, READ],
  ];
  for (const [otlp, queue, expected] of cases) {
    const file: { [name: string]: Plain } = {
      pipeline: { flow_producer: { flow_span_queue_capacity: queue } },
      export: { traces: otlp ? { otlp } : {} },
    };
    const { config } = loadConfig(sources({ path: "f", parse: () => document(file) }));
    assert.equal(maxWaitingSpans(config), expected);
  }
});
