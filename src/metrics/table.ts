/** The one table of the agent's own metrics: the page is rendered and the documentation is made from it. */

import { LOSS_REASONS } from "../export/exporter.ts";
import type { Histogram } from "./histogram.ts";

/** One metric. A label lists its possible values, or is `ANY` when they come from outside. */
export interface MetricSpec {
  readonly type: "gauge" | "counter" | "histogram";
  /** One sentence. */
  readonly help: string;
  readonly labels: Readonly<Record<string, readonly string[] | typeof ANY>>;
  /** Of a histogram: upper bounds, unless the configuration chooses others. */
  readonly buckets?: readonly number[];
}

/** Marks a label whose values are not known beforehand. */
export const ANY = "any";

const UNIT = ["entries"] as const;
const DIRECTION = ["ingress", "egress"] as const;
const OUTCOME = ["counted", "duplicate", "filtered", "unparsed", "lost"] as const;
const CHANNEL = ["packet_worker", "producer_output", "decorator_output"] as const;
const EXPORTER = ["otlp", "stdout"] as const;
const LOSS_REASON = [...new Set([...LOSS_REASONS.otlp, ...LOSS_REASONS.stdout])];
const BATCH_BUCKETS = [1, 10, 50, 100, 250, 500, 1000];
const PIPELINE_BUCKETS = [0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];
const INDEX_BUCKETS = [0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1];
const SHUTDOWN_BUCKETS = [0.1, 0.5, 1, 5, 10, 30, 60, 120];

/** Every metric, by name. */
export const METRICS = {
  mermin_build_info: {
    type: "gauge",
    help: "Always 1; the labels say what is running.",
    labels: { version: ANY, deno: ANY },
  },
  mermin_config_reloads_total: {
    type: "counter",
    help: "Reloads of the configuration; error: a bad file or a part that could not change, restart_needed: some wait.",
    labels: { status: ["ok", "restart_needed", "error", "unchanged"] },
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
    help: "What a BPF map holds; LISTENING_PORTS is no map but the sockets that listen in the watched namespace.",
    labels: { map: ["FLOW_STATS", "LISTENING_PORTS"], unit: UNIT },
  },
  mermin_ebpf_map_ops_total: {
    type: "counter",
    help: "Operations of user space on a BPF map; a read of FLOW_EVENTS takes all that waits there.",
    labels: { map: ["FLOW_STATS", "FLOW_EVENTS"], operation: ["read", "delete"], status: ["ok", "error"] },
  },
  mermin_ebpf_method: {
    type: "gauge",
    help: "1 for the kind of hook that the programs are attached to.",
    labels: { attachment: ["tc", "tcx"] },
  },
  mermin_capture_bytes_total: {
    type: "counter",
    help: "Bytes of all packets seen at the hooks, frame length as a capture sees it.",
    labels: { direction: DIRECTION },
  },
  mermin_capture_packets_total: {
    type: "counter",
    help: "Packets seen at the hooks, by what became of them; reason is empty unless unparsed or lost.",
    labels: { direction: DIRECTION, outcome: OUTCOME, reason: ANY },
  },
  mermin_capture_key_scope_conflicts_total: {
    type: "counter",
    help: "Packets, counted as well, of flows whose first packet had another VLAN or tunnel id.",
    labels: {},
  },
  mermin_interface_bytes_total: {
    type: "counter",
    help: "Bytes of all packets seen at an interface, frame length as a capture sees it.",
    labels: { interface: ANY, direction: DIRECTION },
  },
  mermin_interface_packets_total: {
    type: "counter",
    help: "Packets seen at an interface.",
    labels: { interface: ANY, direction: DIRECTION },
  },
  mermin_interface_capture_packets_total: {
    type: "counter",
    help: "Packets seen at an interface, by what became of them, as mermin_capture_packets_total.",
    labels: { interface: ANY, direction: DIRECTION, outcome: OUTCOME, reason: ANY },
  },
  mermin_flow_spans_active_total: {
    type: "gauge",
    help: "Flows that are open now.",
    labels: {},
  },
  mermin_flow_pressed_total: {
    type: "counter",
    help: "Flows that ended early, with reason lack_of_resources, because the table was filling up.",
    labels: {},
  },
  mermin_flow_spans_created_total: {
    type: "counter",
    help: "Flow spans made.",
    labels: {},
  },
  mermin_flow_spans_filtered_total: {
    type: "counter",
    help: "Records that a filter dropped before a span was made of them.",
    labels: {},
  },
  mermin_flow_spans_killed_total: {
    type: "counter",
    help: "Flow spans that agents had when they were killed: made, or about to be, and not known to be delivered; " +
      "the next agent counts them. Those in a request that nobody had answered yet may have arrived.",
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
  mermin_conntrack_entries: {
    type: "gauge",
    help:
      "Translated connections (NAT) that are known: those that live, and those whose flows may not be exported yet.",
    labels: {},
  },
  mermin_conntrack_events_total: {
    type: "counter",
    help: "Translated connections that the kernel said had begun or ended.",
    labels: {},
  },
  mermin_conntrack_lost_total: {
    type: "counter",
    help: "Translated connections that found no place; the two sides of their flows stay apart.",
    labels: {},
  },
  mermin_conntrack_overflows_total: {
    type: "counter",
    help: "Times that events came faster than they were read, and what there is was asked for anew; " +
      "connections that the kernel had forgotten by then stay unknown, and the two sides of their flows apart.",
    labels: {},
  },
  mermin_flow_events_total: {
    type: "counter",
    help: "Wake-ups read from the kernel's ring buffer: each says that the flow table was filling up.",
    labels: { status: ["received"] },
  },
  mermin_channel_capacity: {
    type: "gauge",
    help: "What may wait: packet_worker are the records of flows that are due, which wait in the kernel's table; " +
      "producer_output the spans for one exporter, above which records are held back there; decorator_output, in a " +
      "cluster, is the same line of spans, since names are given on the way to it.",
    labels: { channel: CHANNEL },
  },
  mermin_channel_entries: {
    type: "gauge",
    help: "What waits now; of producer_output the spans of the exporter where most do.",
    labels: { channel: CHANNEL },
  },
  mermin_channel_sends_total: {
    type: "counter",
    help: "Records read (packet_worker) and spans handed to an exporter that took them or had no room for them.",
    labels: { channel: CHANNEL, status: ["ok", "error"] },
  },
  mermin_pipeline_duration_seconds: {
    type: "histogram",
    help: "Time of a step: flow_producer_out from a sweep of the kernel's table to its last span handed on, " +
      "k8s_decorator_out of the cluster's attributes of one span (one in 64 is timed), " +
      "export_out from the first request of a batch to its last answer.",
    labels: { stage: ["flow_producer_out", "k8s_decorator_out", "export_out"] },
    buckets: PIPELINE_BUCKETS,
  },
  mermin_k8s_watcher_events_total: {
    type: "counter",
    help: "Objects of the cluster that lists brought, and events of watches.",
    labels: { event: ["listed", "added", "modified", "deleted", "bookmark"], kind: ANY },
  },
  mermin_k8s_watcher_lists_total: {
    type: "counter",
    help: "Lists of all objects of a kind that were begun; more than one when a watch could not be resumed.",
    labels: { kind: ANY },
  },
  mermin_k8s_watcher_errors_total: {
    type: "counter",
    help: "Requests to the API server that failed, and objects that could not be read.",
    labels: { kind: ANY },
  },
  mermin_k8s_watcher_ip_index_update_duration_seconds: {
    type: "histogram",
    help: "Time that a change of one object took, until flows are named by it.",
    labels: {},
    buckets: INDEX_BUCKETS,
  },
  mermin_k8s_objects: {
    type: "gauge",
    help: "Objects of the cluster that are known.",
    labels: { kind: ANY },
  },
  mermin_k8s_addresses: {
    type: "gauge",
    help: "Addresses and networks by which objects are found.",
    labels: {},
  },
  mermin_k8s_decorator_flow_spans_total: {
    type: "counter",
    help: "Flow spans by what the cluster says of their ends: ok when at least one was found, " +
      "error for a fault of the program, after which the span goes on without; dropped is always 0: nothing is.",
    labels: { status: ["ok", "undecorated", "dropped", "error"] },
  },
  mermin_export_batch_size: {
    type: "histogram",
    help: "Flow spans in each batch that the receiver took or refused.",
    labels: {},
    buckets: BATCH_BUCKETS,
  },
  mermin_export_flow_spans_total: {
    type: "counter",
    help: "Flow spans that left the agent (ok) or never will (error); noop are those made while there is no exporter.",
    labels: { exporter: [...EXPORTER, "noop"], status: ["ok", "error", "noop"] },
  },
  mermin_export_lost_spans_total: {
    type: "counter",
    help: "Flow spans lost on their way out, by reason.",
    labels: { exporter: EXPORTER, reason: LOSS_REASON },
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
  mermin_shutdown_duration_seconds: {
    type: "histogram",
    help: "Time that a stop takes, until nothing but this page is left to end.",
    labels: {},
    buckets: SHUTDOWN_BUCKETS,
  },
  mermin_shutdown_timeouts_total: {
    type: "counter",
    help: "Stops whose time was over before all was done.",
    labels: {},
  },
  mermin_shutdown_flows_total: {
    type: "counter",
    help: "Flows open at the stop that did not leave the agent: preserved in the kernel for a successor, or lost.",
    labels: { status: ["preserved", "lost"] },
  },
  process_cpu_seconds_total: {
    type: "counter",
    help: "Processor time of the agent, user and system, kernel programs not included.",
    labels: {},
  },
  process_resident_memory_bytes: {
    type: "gauge",
    help: "Memory of the agent, with the part of the flow table that it has looked at.",
    labels: {},
  },
  process_start_time_seconds: {
    type: "gauge",
    help: "When the agent was started, in seconds since the Unix epoch.",
    labels: {},
  },
} as const satisfies Record<string, MetricSpec>;

export type MetricName = keyof typeof METRICS;

/** `debug`: one series for each interface or kind of object, which only a page of its own and a setting show. */
export type MetricCategory = "standard" | "debug";

/** The category that the labels of a metric put it in. */
export function categoryOf(name: MetricName): MetricCategory {
  const { labels } = METRICS[name];
  return "interface" in labels || "kind" in labels ? "debug" : "standard";
}

type LabelsOf<N extends MetricName> = (typeof METRICS)[N]["labels"];
type ValueOf<V> = V extends readonly (infer T extends string)[] ? T : string;

/** Labels of one sample of metric `N`; values are the union types of the table. */
export type MetricLabels<N extends MetricName> = { [L in keyof LabelsOf<N>]: ValueOf<LabelsOf<N>[L]> };

type SampleOf<N extends MetricName> = (typeof METRICS)[N]["type"] extends "histogram" ? Histogram : number;

/** Takes one sample of metric `N`: its value, and its labels if the metric has any. */
export type Emit<N extends MetricName> = keyof LabelsOf<N> extends never ? (value: SampleOf<N>) => void
  : (value: SampleOf<N>, labels: MetricLabels<N>) => void;

/** Where the values come from: called at each scrape, so that nothing is counted twice over on the way of a flow. */
export type MetricSources = { readonly [N in MetricName]?: (emit: Emit<N>) => void };
