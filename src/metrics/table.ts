/** The one table of the agent's own metrics: the page is rendered and the documentation is made from it. */

/** One metric. A label lists its possible values, or is `ANY` when they come from outside. */
export interface MetricSpec {
  readonly type: "gauge" | "counter";
  /** One sentence. */
  readonly help: string;
  readonly labels: Readonly<Record<string, readonly string[] | typeof ANY>>;
}

/** Marks a label whose values are not known beforehand. */
export const ANY = "any";

const UNIT = ["entries"] as const;
const DIRECTION = ["ingress", "egress"] as const;
const EXPORTER = ["otlp", "stdout"] as const;

/** Every metric, by name. */
export const METRICS = {
  mermin_build_info: {
    type: "gauge",
    help: "Always 1; the labels say what is running.",
    labels: { version: ANY, deno: ANY },
  },
  mermin_ebpf_bpf_fs_writable: {
    type: "gauge",
    help: "1 when maps and links are pinned in a BPF file system, 0 when a restart loses them.",
    labels: {},
  },
  mermin_ebpf_map_capacity: {
    type: "gauge",
    help: "Size that a BPF map was made with.",
    labels: { map: ["FLOW_STATS", "FLOW_EVENTS"], unit: UNIT },
  },
  mermin_ebpf_map_size: {
    type: "gauge",
    help: "What a BPF map holds.",
    labels: { map: ["FLOW_STATS"], unit: UNIT },
  },
  mermin_ebpf_map_ops_total: {
    type: "counter",
    help: "Operations of user space on a BPF map.",
    labels: { map: ["FLOW_STATS"], operation: ["read", "delete"], status: ["ok", "error"] },
  },
  mermin_ebpf_method: {
    type: "gauge",
    help: "1 for the kind of hook that the programs are attached to.",
    labels: { attachment: ["tc", "tcx"] },
  },
  mermin_interface_bytes_total: {
    type: "counter",
    help: "Bytes of all packets seen at an interface, frame length as a capture sees it.",
    labels: { interface: ANY, direction: DIRECTION },
  },
  mermin_interface_packets_total: {
    type: "counter",
    help: "Packets seen at an interface; the sum of mermin_capture_packets_total over its outcomes.",
    labels: { interface: ANY, direction: DIRECTION },
  },
  mermin_capture_packets_total: {
    type: "counter",
    help: "Packets seen at an interface, by what became of them; reason is empty unless unparsed or lost.",
    labels: {
      interface: ANY,
      direction: DIRECTION,
      outcome: ["counted", "duplicate", "unparsed", "lost"],
      reason: ANY,
    },
  },
  mermin_flow_spans_active_total: {
    type: "gauge",
    help: "Flows that are open now.",
    labels: {},
  },
  mermin_flow_spans_created_total: {
    type: "counter",
    help: "Flow spans made.",
    labels: {},
  },
  mermin_flow_span_packets_total: {
    type: "counter",
    help: "Packets in the flow spans made, both directions.",
    labels: {},
  },
  mermin_flow_open_packets: {
    type: "gauge",
    help: "Packets counted in open flows and in no span yet.",
    labels: {},
  },
  mermin_flow_events_total: {
    type: "counter",
    help: "Wake-ups read from the kernel's ring buffer: each says that the flow table was filling up.",
    labels: { status: ["received"] },
  },
  mermin_export_flow_spans_total: {
    type: "counter",
    help: "Flow spans that left the agent (ok) or never will (error).",
    labels: { exporter: EXPORTER, status: ["ok", "error"] },
  },
  mermin_export_lost_spans_total: {
    type: "counter",
    help: "Flow spans lost on their way out, by reason.",
    labels: { exporter: EXPORTER, reason: ANY },
  },
  mermin_export_requests_total: {
    type: "counter",
    help: "Requests sent, every try counted.",
    labels: { exporter: EXPORTER },
  },
  mermin_export_retries_total: {
    type: "counter",
    help: "Requests that failed and are tried again.",
    labels: { exporter: EXPORTER },
  },
  mermin_export_queue_spans: {
    type: "gauge",
    help: "Flow spans waiting or in flight.",
    labels: { exporter: EXPORTER },
  },
  mermin_export_queue_bytes: {
    type: "gauge",
    help: "Memory held for the flow spans waiting or in flight.",
    labels: { exporter: EXPORTER },
  },
} as const satisfies Record<string, MetricSpec>;

export type MetricName = keyof typeof METRICS;

type LabelsOf<N extends MetricName> = (typeof METRICS)[N]["labels"];
type ValueOf<V> = V extends readonly (infer T extends string)[] ? T : string;

/** Labels of one sample of metric `N`; values are the union types of the table. */
export type MetricLabels<N extends MetricName> = { [L in keyof LabelsOf<N>]: ValueOf<LabelsOf<N>[L]> };

/** Takes one sample of metric `N`: its value, and its labels if the metric has any. */
export type Emit<N extends MetricName> = keyof LabelsOf<N> extends never ? (value: number) => void
  : (value: number, labels: MetricLabels<N>) => void;

/** Where the values come from: called at each scrape, so that nothing is counted twice over on the way of a flow. */
export type MetricSources = { readonly [N in MetricName]?: (emit: Emit<N>) => void };
