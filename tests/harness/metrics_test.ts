import assert from "node:assert/strict";
import { Metrics } from "./metrics.ts";

const TEXT = `# HELP spans_total Spans.
# TYPE spans_total counter
spans_total{exporter="otlp",status="ok"} 12
spans_total{exporter="otlp",status="error"} 3 1700000000000
spans_total_created 5
writable 0
bucket{le="+Inf"} +Inf
`;

const cases: { pattern: RegExp; sum: number }[] = [
  { pattern: /^spans_total\{/, sum: 15 },
  { pattern: /^spans_total\{.*status="ok"/, sum: 12 },
  { pattern: /^writable/, sum: 0 },
  { pattern: /^bucket/, sum: Infinity },
  { pattern: /^absent/, sum: 0 },
];
for (const { pattern, sum } of cases) {
  Deno.test(`Metrics.sum() adds up what matches ${pattern}`, () => assert.equal(new Metrics(TEXT).sum(pattern), sum));
}
