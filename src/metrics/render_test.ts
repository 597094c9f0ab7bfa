import assert from "node:assert/strict";
import { exporterSources } from "./exporter_sources.ts";
import { OPENMETRICS_TEXT, PROMETHEUS_TEXT } from "./format.ts";
import { Histogram } from "./histogram.ts";
import { renderMetrics } from "./render.ts";
import { type MetricCategory, METRICS, type MetricSources } from "./table.ts";

const SOURCES: MetricSources = {
  mermin_ebpf_bpf_fs_writable: (emit) => emit(1),
  mermin_flow_spans_created_total: (emit) => emit(9_007_199_254_740_991),
  mermin_interface_bytes_total: (emit) => {
    emit(0, { interface: "eth0", direction: "ingress" });
    emit(1500, { interface: "eth0", direction: "egress" });
  },
};

const ALL = ["standard", "debug"] as const;

function fail(name: string, error: unknown): never {
  throw new Error(`${name}: ${error}`);
}

/** Lines that are samples. */
async function samples(
  sources: MetricSources,
  contentType: typeof PROMETHEUS_TEXT | typeof OPENMETRICS_TEXT = PROMETHEUS_TEXT,
) {
  const page = await renderMetrics(sources, contentType, ALL, fail);
  return page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

Deno.test("renderMetrics() writes Prometheus text with help and type", async () => {
  assert.equal(
    await renderMetrics(SOURCES, PROMETHEUS_TEXT, ALL, fail),
    `# HELP mermin_ebpf_bpf_fs_writable ${METRICS.mermin_ebpf_bpf_fs_writable.help}
# TYPE mermin_ebpf_bpf_fs_writable gauge
mermin_ebpf_bpf_fs_writable 1

# HELP mermin_interface_bytes_total ${METRICS.mermin_interface_bytes_total.help}
# TYPE mermin_interface_bytes_total counter
mermin_interface_bytes_total{interface="eth0",direction="ingress"} 0
mermin_interface_bytes_total{interface="eth0",direction="egress"} 1500

# HELP mermin_flow_spans_created_total ${METRICS.mermin_flow_spans_created_total.help}
# TYPE mermin_flow_spans_created_total counter
mermin_flow_spans_created_total 9007199254740991
`,
  );
});

Deno.test("renderMetrics() writes OpenMetrics, where a counter's family has no _total", async () => {
  const page = await renderMetrics(SOURCES, OPENMETRICS_TEXT, ALL, fail);
  assert.match(page, /^# TYPE mermin_interface_bytes counter$/m);
  assert.match(page, /^mermin_interface_bytes_total\{interface="eth0",direction="egress"\} 1500$/m);
  assert.ok(page.endsWith("\n# EOF\n"));
});

Deno.test("renderMetrics() writes histograms with buckets that hold the smaller ones, in both formats", async () => {
  const histogram = new Histogram([0.5, 10]);
  for (const value of [0.25, 0.5, 3, 11]) histogram.observe(value);
  const sources: MetricSources = {
    mermin_pipeline_duration_seconds: (emit) => emit(histogram, { stage: "export_out" }),
    mermin_export_batch_size: (emit) => emit(new Histogram([1])),
  };
  const expected = [
    'mermin_pipeline_duration_seconds_bucket{stage="export_out",le="0.5"} 2',
    'mermin_pipeline_duration_seconds_bucket{stage="export_out",le="10"} 3',
    'mermin_pipeline_duration_seconds_bucket{stage="export_out",le="+Inf"} 4',
    'mermin_pipeline_duration_seconds_sum{stage="export_out"} 14.75',
    'mermin_pipeline_duration_seconds_count{stage="export_out"} 4',
    'mermin_export_batch_size_bucket{le="1"} 0',
    'mermin_export_batch_size_bucket{le="+Inf"} 0',
    "mermin_export_batch_size_sum 0",
    "mermin_export_batch_size_count 0",
  ];
  assert.deepEqual(await samples(sources), expected);
  assert.deepEqual(await samples(sources, OPENMETRICS_TEXT), expected);
});

Deno.test("renderMetrics() in one format does not disturb the other", async () => {
  const alone = await samples(SOURCES);
  const [text, open] = await Promise.all([samples(SOURCES), samples(SOURCES, OPENMETRICS_TEXT)]);
  assert.deepEqual(text, alone);
  assert.deepEqual(open, alone);
});

Deno.test("renderMetrics() forgets series that their source no longer gives", async () => {
  const names = ["eth0", "eth1"];
  const sources: MetricSources = {
    mermin_interface_packets_total: (emit) =>
      names.forEach((name) => emit(1, { interface: name, direction: "ingress" })),
  };
  assert.equal((await samples(sources)).length, 2);
  names.pop();
  assert.equal((await samples(sources)).length, 1);
});

Deno.test("renderMetrics() escapes label values", async () => {
  const sources: MetricSources = { mermin_build_info: (emit) => emit(1, { version: 'a"b\\c\nd', deno: "2" }) };
  assert.deepEqual(await samples(sources), ['mermin_build_info{version="a\\"b\\\\c\\nd",deno="2"} 1']);
});

Deno.test("renderMetrics() leaves out a metric whose source fails, and tells of it", async (t) => {
  const broken: [string, MetricSources][] = [
    ["exception", {
      mermin_flow_spans_active_total: () => {
        throw new Error("no table");
      },
    }],
    ["not a number", { mermin_flow_spans_active_total: (emit) => emit(undefined as never) }],
    ["falling counter", {
      mermin_flow_spans_active_total: undefined,
      mermin_flow_span_packets_total: (emit) => emit(-1),
    }],
  ];
  for (const [name, sources] of broken) {
    await t.step(name, async () => {
      const failed: string[] = [];
      const page = await renderMetrics(
        { ...SOURCES, ...sources },
        PROMETHEUS_TEXT,
        ALL,
        (metric) => failed.push(metric),
      );
      assert.equal(failed.length, 1);
      assert.ok(!page.includes(failed[0]));
      assert.ok(page.includes("mermin_ebpf_bpf_fs_writable 1"));
    });
  }
});

Deno.test("METRICS follow the naming rules of Prometheus", () => {
  // Dashboards in the field know this gauge by a counter's name.
  const kept = ["mermin_flow_spans_active_total"];
  for (const [name, { type, help }] of Object.entries(METRICS)) {
    assert.match(name, /^(mermin|process)_[a-z][a-z0-9_]*$/);
    assert.match(help, /^[A-Z0-9].*\.$/);
    if (!kept.includes(name)) assert.equal(name.endsWith("_total"), type === "counter", name);
  }
});

Deno.test("exporterSources() tells of each exporter what it counts", async () => {
  const stats = {
    accepted: 10,
    delivered: 6,
    lost: { queue_full: 2, shutdown: 1 },
    queued: 1,
    queuedBytes: 300,
    requests: 4,
    retries: 3,
  };
  const none = { accepted: 0, delivered: 0, lost: {}, queued: 0, queuedBytes: 0, requests: 0, retries: 0 };
  assert.deepEqual(
    await samples(exporterSources([{ name: "otlp", stats }, { name: "stdout", stats: none }], () => 9)),
    [
      'mermin_export_flow_spans_total{exporter="noop",status="noop"} 0',
      'mermin_export_flow_spans_total{exporter="otlp",status="ok"} 6',
      'mermin_export_flow_spans_total{exporter="otlp",status="error"} 3',
      'mermin_export_flow_spans_total{exporter="stdout",status="ok"} 0',
      'mermin_export_flow_spans_total{exporter="stdout",status="error"} 0',
      'mermin_export_lost_spans_total{exporter="otlp",reason="queue_full"} 2',
      'mermin_export_lost_spans_total{exporter="otlp",reason="refused"} 0',
      'mermin_export_lost_spans_total{exporter="otlp",reason="rejected"} 0',
      'mermin_export_lost_spans_total{exporter="otlp",reason="shutdown"} 1',
      'mermin_export_lost_spans_total{exporter="stdout",reason="queue_full"} 0',
      'mermin_export_lost_spans_total{exporter="stdout",reason="closed"} 0',
      'mermin_export_lost_spans_total{exporter="stdout",reason="write_failed"} 0',
      'mermin_export_lost_spans_total{exporter="stdout",reason="shutdown"} 0',
      'mermin_export_requests_total{exporter="otlp"} 4',
      'mermin_export_requests_total{exporter="stdout"} 0',
      'mermin_export_retries_total{exporter="otlp"} 3',
      'mermin_export_retries_total{exporter="stdout"} 0',
      'mermin_export_queue_spans{exporter="otlp"} 1',
      'mermin_export_queue_spans{exporter="stdout"} 0',
      'mermin_export_queue_bytes{exporter="otlp"} 300',
      'mermin_export_queue_bytes{exporter="stdout"} 0',
    ],
  );
});

Deno.test("exporterSources() counts the spans that nobody takes", async () => {
  const page = await samples(exporterSources([], () => 9));
  assert.deepEqual(page, ['mermin_export_flow_spans_total{exporter="noop",status="noop"} 9']);
});

Deno.test("renderMetrics() leaves out the other category", async () => {
  const page = (categories: readonly MetricCategory[]) => renderMetrics(SOURCES, PROMETHEUS_TEXT, categories, fail);
  const [standard, debug] = [await page(["standard"]), await page(["debug"])];
  assert.ok(standard.includes("mermin_flow_spans_created_total") && !standard.includes("mermin_interface"));
  assert.ok(!debug.includes("mermin_flow_spans_created_total") && debug.includes("mermin_interface_bytes_total"));
});
