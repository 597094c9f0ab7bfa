/** Writes charts/mermin/dashboards/mermin.json, a dashboard for Grafana: `deno run tools/dashboard.ts`. */

import { type MetricLabels, type MetricName, METRICS } from "../src/metrics/table.ts";

interface Panel {
  readonly title: string;
  /** What is worth a look, in one sentence. */
  readonly description: string;
  /** Of Grafana: short, Bps, percentunit, s, bytes. */
  readonly unit: string;
  /** Queries with the names of their lines. */
  readonly lines: readonly (readonly [query: string, legend: string])[];
}

type Matchers<N extends MetricName> = Partial<Record<keyof MetricLabels<N>, string>>;

/** The series of a metric at the chosen agents. */
function of<N extends MetricName>(name: N, matchers: Matchers<N> = {}): string {
  const more = Object.entries(matchers).map(([label, value]) => `,${label}="${value}"`).join("");
  const suffix = METRICS[name].type === "histogram" ? "_bucket" : "";
  return `${name}${suffix}{instance=~"$instance"${more}}`;
}

function rate(series: string): string {
  return `rate(${series}[$__rate_interval])`;
}

function sum(query: string, ...labels: string[]): string {
  return labels.length === 0 ? `sum(${query})` : `sum by (${labels.join(", ")}) (${query})`;
}

/** Sums over all hosts, so that the panels stay readable with hundreds of them; the variable chooses one. */
const PANELS: readonly Panel[] = [
  {
    title: "Flow spans per second",
    description: "Spans made, and records that a filter dropped before.",
    unit: "short",
    lines: [
      [sum(rate(of("mermin_flow_spans_created_total"))), "made"],
      [sum(rate(of("mermin_flow_spans_filtered_total"))), "filtered"],
    ],
  },
  {
    title: "Flow table in use",
    description: "Fullest host; above four fifths flows end early, see the losses.",
    unit: "percentunit",
    lines: [[
      `max(${of("mermin_ebpf_map_size", { map: "FLOW_STATS" })} / on (instance) ` +
      `${of("mermin_ebpf_map_capacity", { map: "FLOW_STATS" })})`,
      "fullest host",
    ]],
  },
  {
    title: "Packets per second by what became of them",
    description: "Duplicates are copies at further interfaces of a path; only lost is bad.",
    unit: "short",
    lines: [[sum(rate(of("mermin_capture_packets_total")), "outcome"), "{{outcome}}"]],
  },
  {
    title: "Bytes per second at all hooks",
    description: "As a capture sees them; a packet that passes two watched interfaces is in it twice.",
    unit: "Bps",
    lines: [[sum(rate(of("mermin_capture_bytes_total")), "direction"), "{{direction}}"]],
  },
  {
    title: "Bytes per second by interface",
    description: "Needs metrics { debug_metrics_enabled = true }; the twenty busiest.",
    unit: "Bps",
    lines: [[
      `topk(20, ${sum(rate(of("mermin_interface_bytes_total")), "instance", "interface", "direction")})`,
      "{{instance}} {{interface}} {{direction}}",
    ]],
  },
  {
    title: "Losses per second",
    description: "Should be 0: packets not counted, flows ended early for want of room, spans not delivered.",
    unit: "short",
    lines: [
      [sum(rate(of("mermin_capture_packets_total", { outcome: "lost" })), "reason"), "packets lost: {{reason}}"],
      [sum(rate(of("mermin_flow_pressed_total"))), "flows ended early"],
      [sum(rate(of("mermin_export_lost_spans_total")), "exporter", "reason"), "spans lost by {{exporter}}: {{reason}}"],
      [sum(rate(of("mermin_flow_spans_killed_total"))), "spans lost with a killed agent"],
    ],
  },
  {
    title: "Exported spans per second",
    description: "error are spans that will never be delivered.",
    unit: "short",
    lines: [[sum(rate(of("mermin_export_flow_spans_total")), "exporter", "status"), "{{exporter}} {{status}}"]],
  },
  {
    title: "Spans that wait for the collector",
    description: "Grows while the collector is slow or away; at the capacity the oldest are dropped.",
    unit: "short",
    lines: [
      [sum(of("mermin_export_queue_spans"), "exporter"), "{{exporter}}"],
      [sum(of("mermin_channel_capacity", { channel: "producer_output" })), "capacity"],
    ],
  },
  {
    title: "Requests to the collector",
    description: "Retries are requests that failed and are sent again.",
    unit: "short",
    lines: [
      [sum(rate(of("mermin_export_requests_total")), "exporter"), "{{exporter}} requests"],
      [sum(rate(of("mermin_export_retries_total")), "exporter"), "{{exporter}} retries"],
    ],
  },
  {
    title: "Time of a batch, 95th percentile",
    description: "From a batch's first request to its last answer, and from a sweep to its last span.",
    unit: "s",
    lines: [[
      `histogram_quantile(0.95, ${sum(rate(of("mermin_pipeline_duration_seconds")), "le", "stage")})`,
      "{{stage}}",
    ]],
  },
  {
    title: "Spans per second by what the cluster says of them",
    description: "undecorated: no object was found for either end.",
    unit: "short",
    lines: [[sum(rate(of("mermin_k8s_decorator_flow_spans_total")), "status"), "{{status}}"]],
  },
  {
    title: "Addresses known from the cluster",
    description: "The least and the most that an agent knows; 0 means that it cannot read the cluster.",
    unit: "short",
    lines: [[`min(${of("mermin_k8s_addresses")})`, "least"], [`max(${of("mermin_k8s_addresses")})`, "most"]],
  },
  {
    title: "Memory",
    description: "Resident memory of the agents, with the part of the flow table that they have looked at.",
    unit: "bytes",
    lines: [
      [`max(${of("process_resident_memory_bytes")})`, "greatest"],
      [`avg(${of("process_resident_memory_bytes")})`, "mean"],
    ],
  },
  {
    title: "Processor",
    description: "Of the agents in user space; the programs in the kernel are not in it.",
    unit: "short",
    lines: [
      [`max(${rate(of("process_cpu_seconds_total"))})`, "greatest"],
      [`avg(${rate(of("process_cpu_seconds_total"))})`, "mean"],
    ],
  },
  {
    title: "Hosts",
    description: "Agents that answer, those without a BPF file system, and reloads of the configuration that failed.",
    unit: "short",
    lines: [
      [`count(${of("mermin_build_info")})`, "agents"],
      [`count(${of("mermin_ebpf_bpf_fs_writable")} == 0)`, "restarts lose open flows"],
      [sum(`increase(${of("mermin_config_reloads_total", { status: "error" })}[1h])`), "failed reloads in an hour"],
    ],
  },
];

const SOURCE = { type: "prometheus", uid: "${datasource}" };

function panel({ title, description, unit, lines }: Panel, index: number) {
  return {
    id: index + 1,
    type: "timeseries",
    title,
    description,
    datasource: SOURCE,
    gridPos: { x: (index % 3) * 8, y: Math.floor(index / 3) * 8, w: 8, h: 8 },
    fieldConfig: { defaults: { unit, min: 0, custom: { fillOpacity: 10, showPoints: "never" } }, overrides: [] },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
    targets: lines.map(([expr, legendFormat], line) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + line),
      datasource: SOURCE,
      expr,
      legendFormat,
    })),
  };
}

const instances: `${string}${MetricName}${string}` = "label_values(mermin_build_info, instance)";
const dashboard = {
  uid: "mermin",
  title: "Mermin",
  tags: ["mermin", "network"],
  schemaVersion: 39,
  editable: true,
  refresh: "30s",
  time: { from: "now-1h", to: "now" },
  templating: {
    list: [
      { name: "datasource", label: "Data source", type: "datasource", query: "prometheus" },
      {
        ...{ name: "instance", label: "Agent", type: "query", datasource: SOURCE, refresh: 2, sort: 1 },
        ...{ query: { query: instances, refId: "instances" }, multi: true, includeAll: true },
        current: { text: ["All"], value: ["$__all"] },
      },
    ],
  },
  panels: PANELS.map(panel),
};

if (import.meta.main) console.log(JSON.stringify(dashboard, undefined, 2));
