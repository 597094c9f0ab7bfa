import assert from "node:assert/strict";
import { createHistograms, HISTOGRAM_NAMES, histogramNamed, histogramSources } from "./histograms.ts";

Deno.test("histogramNamed() knows a histogram with and without prefix and unit", () => {
  const cases: [written: string, name: string | undefined][] = [
    ["mermin_pipeline_duration_seconds", "mermin_pipeline_duration_seconds"],
    ["pipeline_duration_seconds", "mermin_pipeline_duration_seconds"],
    ["pipeline_duration", "mermin_pipeline_duration_seconds"],
    ["pipeline_duration_buckets", "mermin_pipeline_duration_seconds"],
    ["export_batch_size", "mermin_export_batch_size"],
    ["pipeline", undefined],
    ["mermin_flow_spans_created_total", undefined],
    ["", undefined],
  ];
  for (const [written, name] of cases) assert.equal(histogramNamed(written), name, written);
});

Deno.test("createHistograms() has the buckets that were chosen, and for the others the usual ones", () => {
  const { flowProducerOut, exportOut, batchSize } = createHistograms({ pipeline_duration_seconds: [1, 2] });
  assert.deepEqual([flowProducerOut.bounds, exportOut.bounds], [[1, 2], [1, 2]]);
  assert.deepEqual(batchSize.bounds, [1, 10, 50, 100, 250, 500, 1000]);
});

Deno.test("histogramSources() has each histogram", () => {
  assert.deepEqual(Object.keys(histogramSources(createHistograms())).sort(), [...HISTOGRAM_NAMES].sort());
});
