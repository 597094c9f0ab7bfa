import assert from "node:assert/strict";
import { PROMETHEUS_TEXT } from "../metrics/format.ts";
import { renderMetrics } from "../metrics/render.ts";
import type { HookCounters, TableCounters } from "./loader.ts";
import { type CaptureSources, captureSources } from "./metrics.ts";

const HOOK: HookCounters = {
  ifindex: 2,
  direction: "ingress",
  packets: 158,
  bytes: 9000,
  counted: 90,
  duplicate: 18,
  keyScopeConflict: 8,
  unparsed: [1, 2, 3, 4],
  filtered: 22,
  lost: [5, 6, 7],
};

const TABLE: TableCounters = {
  capacity: 100,
  used: 12,
  created: 30,
  freed: 18,
  pressed: 4,
  leaked: 2,
  openPackets: 7,
  taken: 444,
  filtered: 44,
  killed: 6,
  conntrack: { entries: 51, events: 52, lost: 53, overflows: 54 },
  hooks: [HOOK],
};

/** Samples by name and labels, as the page shows them. */
async function samples(change: Partial<CaptureSources> = {}): Promise<Record<string, number>> {
  const sources = captureSources({
    counters: () => TABLE,
    interfaces: () => [{ interface: "eth2", direction: "ingress", counters: HOOK }],
    modes: () => new Set(["tcx"] as const),
    isPinned: true,
    eventCapacity: 1024,
    listeningSockets: () => 9,
    taken: { records: 45, spans: 40, filtered: 5, wakeups: 3 },
    ...change,
  });
  const page = await renderMetrics(
    sources,
    PROMETHEUS_TEXT,
    ["standard", "debug"],
    (name, error) => assert.fail(`${name}: ${error}`),
  );
  const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
  );
}

/** The samples of `HOOK` by outcome; `start` is their name and first labels. */
function outcomes(start: string): [string, number][] {
  const sample = (outcome: string, reason: string, value: number): [string, number] => [
    `${start},outcome="${outcome}",reason="${reason}"}`,
    value,
  ];
  return [
    sample("counted", "", 90),
    sample("duplicate", "", 18),
    sample("filtered", "", 22),
    sample("unparsed", "not_ip", 1),
    sample("unparsed", "truncated", 2),
    sample("unparsed", "malformed", 3),
    sample("unparsed", "too_deep", 4),
    sample("lost", "table_full", 5),
    sample("lost", "index_error", 6),
    sample("lost", "contended", 7),
  ];
}

Deno.test("captureSources() tells all that the kernel counts", async () => {
  const at = 'interface="eth2",direction="ingress"';
  assert.deepEqual(await samples(), {
    "mermin_ebpf_bpf_fs_writable": 1,
    'mermin_ebpf_map_capacity{map="FLOW_STATS",unit="entries"}': 100,
    'mermin_ebpf_map_capacity{map="FLOW_EVENTS",unit="entries"}': 1024,
    'mermin_ebpf_map_size{map="FLOW_STATS",unit="entries"}': 12,
    'mermin_ebpf_map_size{map="LISTENING_PORTS",unit="entries"}': 9,
    'mermin_ebpf_map_ops_total{map="FLOW_STATS",operation="read",status="ok"}': 45,
    'mermin_ebpf_map_ops_total{map="FLOW_STATS",operation="delete",status="ok"}': 18,
    'mermin_ebpf_map_ops_total{map="FLOW_STATS",operation="delete",status="error"}': 2,
    'mermin_ebpf_map_ops_total{map="FLOW_EVENTS",operation="read",status="ok"}': 3,
    'mermin_ebpf_method{attachment="tcx"}': 1,
    'mermin_ebpf_method{attachment="tc"}': 0,
    'mermin_capture_bytes_total{direction="ingress"}': 9000,
    ...Object.fromEntries(outcomes('mermin_capture_packets_total{direction="ingress"')),
    "mermin_capture_key_scope_conflicts_total": 8,
    [`mermin_interface_bytes_total{${at}}`]: 9000,
    [`mermin_interface_packets_total{${at}}`]: 158,
    ...Object.fromEntries(outcomes(`mermin_interface_capture_packets_total{${at}`)),
    "mermin_flow_pressed_total": 4,
    "mermin_flow_open_packets": 7,
    "mermin_flow_spans_active_total": 12,
    "mermin_flow_spans_created_total": 40,
    "mermin_flow_spans_filtered_total": 5,
    "mermin_flow_span_packets_total": 400,
    "mermin_flow_spans_killed_total": 6,
    "mermin_conntrack_entries": 51,
    "mermin_conntrack_events_total": 52,
    "mermin_conntrack_lost_total": 53,
    "mermin_conntrack_overflows_total": 54,
    'mermin_flow_events_total{status="received"}': 3,
  });
});

Deno.test("captureSources() gives outcomes that add up to the packets of the hook", async () => {
  const all = Object.entries(await samples());
  for (const start of ["mermin_capture_packets_total", "mermin_interface_capture_packets_total"]) {
    const samples = all.filter(([name]) => name.startsWith(start));
    assert.equal(samples.reduce((sum, [, value]) => sum + value, 0), HOOK.packets);
  }
});

Deno.test("captureSources() adds up all hooks, those that are gone too", async () => {
  const hooks = [HOOK, { ...HOOK, ifindex: 0 }, { ...HOOK, direction: "egress" as const }];
  const result = await samples({ counters: () => ({ ...TABLE, hooks }) });
  assert.equal(result['mermin_capture_bytes_total{direction="ingress"}'], 18_000);
  assert.equal(result['mermin_capture_packets_total{direction="ingress",outcome="counted",reason=""}'], 180);
  assert.equal(result['mermin_capture_packets_total{direction="egress",outcome="counted",reason=""}'], 90);
  assert.equal(result["mermin_capture_key_scope_conflicts_total"], 24);
});

Deno.test("captureSources() shows how it is attached and pinned", async () => {
  const result = await samples({ isPinned: false, modes: () => new Set(["clsact"] as const) });
  assert.equal(result["mermin_ebpf_bpf_fs_writable"], 0);
  assert.equal(result['mermin_ebpf_method{attachment="tc"}'], 1);
  assert.equal(result['mermin_ebpf_method{attachment="tcx"}'], 0);
});
