import { equal } from "node:assert/strict";
import { document, type Plain, sources } from "./config/testing.ts";
import { maxWaitingSpans } from "./limits.ts";
import { loadConfig } from "./settings.ts";

Deno.test("maxWaitingSpans() lets batches flow, and never less than one batch and one read", () => {
  const READ = 512;
  const otlp = { endpoint: "http://collector:4317", max_batch_size: 1000, max_concurrent_exports: 3 };
  const cases: [otlp: { [name: string]: Plain } | undefined, queue: number, decorated: number, expected: number][] = [
    [otlp, 1_000_000, 1_000_000, 1000 + 3 * 1000 + READ],
    [otlp, 2000, 1_000_000, 2000],
    [otlp, 2000, 1900, 1900],
    [otlp, 1, 1, 1000 + READ],
    [undefined, 1_000_000, 1_000_000, READ],
    [undefined, 1, 1, READ],
  ];
  for (const [otlp, queue, decorated, expected] of cases) {
    const file: { [name: string]: Plain } = {
      pipeline: {
        flow_producer: { flow_span_queue_capacity: queue },
        k8s_decorator: { decorated_span_queue_capacity: decorated },
      },
      export: { traces: otlp ? { otlp } : { stdout: "text" } },
    };
    const { config } = loadConfig(sources({ path: "f", parse: () => document(file) }));
    equal(maxWaitingSpans(config), expected);
  }
});
