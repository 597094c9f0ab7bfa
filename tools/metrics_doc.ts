/** Writes docs/metrics.md from the table of metrics: `deno run tools/metrics_doc.ts`. */

import {
  ANY,
  categoryOf,
  type MetricCategory,
  type MetricName,
  METRICS,
  type MetricSpec,
} from "../src/metrics/table.ts";

const HEAD = `# Metrics

<!-- Generated from src/metrics/table.ts by \`deno task generate\`; do not edit. -->

The metrics server (\`metrics { port = 10250 }\`) has these pages, as Prometheus text, or as OpenMetrics to a client that
asks for it:

| page | what it has |
| --- | --- |
| \`/metrics\` | all metrics that are switched on |
| \`/metrics/standard\` | those with a fixed number of series |
| \`/metrics/debug\` | those with a series for each interface; 404 unless \`debug_metrics_enabled = true\` |
| \`/metrics:summary\` | name, type, help, labels and category of every metric, as JSON |

Debug series of an interface that is gone are shown for \`stale_metric_ttl\` (5 minutes), with its last values. The
standard metrics go on counting what interfaces counted that are gone. All counters begin at 0 with the agent, but for those of packets
(\`mermin_capture_\`, \`mermin_interface_\`, \`mermin_flow_span_packets_total\`) and \`mermin_flow_spans_killed_total\`, which live in the kernel
with the flow table and go on when an agent takes it over.

**Every packet is accounted for.** At each hook a packet has one outcome, and what is counted is in a span or in an open
flow; the differences are 0 whenever nothing is under way between two reads of the counters:

\`\`\`promql
sum(mermin_interface_packets_total) - sum(mermin_interface_capture_packets_total)      # per interface too
sum(mermin_capture_packets_total{outcome="counted"}) - sum(mermin_flow_span_packets_total) - sum(mermin_flow_open_packets)
\`\`\`

**Every span is accounted for**, too. A span that was made is delivered, or counted as lost on its way out
(\`mermin_export_lost_spans_total\`), or waits (\`mermin_export_queue_spans\`). What an agent has when it is killed, with
SIGKILL or for memory, the next one counts as \`mermin_flow_spans_killed_total\`, provided that maps are pinned and the host was not
restarted.

**A dashboard** for Grafana is in [charts/mermin/dashboards/mermin.json](../charts/mermin/dashboards/mermin.json): import the file, or
install the chart with \`dashboard.enabled=true\`. A real Prometheus answers all of its queries in \`tests/backends\`; Grafana itself
has not shown it yet.

**Names of dashboards that are not here.** The channel \`decorator_output\` and the stage \`k8s_decorator_out\`: spans get their
Kubernetes attributes where they are made, in a microsecond, and nothing waits behind that. \`mermin_k8s_*\` are there
where the agent watches a cluster. \`mermin_flow_spans_active_total\` is a gauge, in spite of its name.

`;

function section(title: string, category: MetricCategory): string {
  const names = (Object.keys(METRICS) as MetricName[]).filter((name) => categoryOf(name) === category).sort();
  const rows = names.map((name) => {
    const { type, help, labels, buckets }: MetricSpec = METRICS[name];
    const limits = buckets ? ` Buckets: ${buckets.join(", ")}.` : "";
    return `| \`${name}\` | ${type} | ${Object.entries(labels).map(labelText).join("<br>")} | ${help}${limits} |`;
  });
  return `## ${title}\n\n| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`;
}

function labelText([label, values]: [string, readonly string[] | typeof ANY]): string {
  return values === ANY ? `\`${label}\`` : `\`${label}\`: ${values.join(", ")}`;
}

/** The whole page. */
export function metricsPage(): string {
  return `${HEAD}${section("Standard", "standard")}\n${section("Debug", "debug")}`;
}

if (import.meta.main) Deno.stdout.writeSync(new TextEncoder().encode(metricsPage()));
