import assert from "node:assert/strict";
import { PROMETHEUS_TEXT } from "../metrics/format.ts";
import { renderMetrics } from "../metrics/render.ts";
import type { HookCounters, TableCounters } from "./loader.ts";
import { type CaptureSources, captureSources } from "./metrics.ts";

const HOOK: HookCounters = {
  ifindex: 2,
  direction: "ingress",
  packets: 136,
  bytes: 9000,
  counted: 90,
  noted: 18,
  unparsed: [1, 2, 3, 4],
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
  hooks: [HOOK],
};

/** Samples by name and labels, as the page shows them. */
async function samples(change: Partial<CaptureSources> = {}): Promise<Record<string, number>> {
  const sources = captureSources({
    counters: () => TABLE,
    interfaceName: (ifindex) => `eth${ifindex}`,
    modes: () => new Set(["tcx"] as const),
    isPinned: true,
    eventCapacity: 1024,
    taken: { spans: 40, packets: 400, wakeups: 3 },
    ...change,
  });
  const page = await renderMetrics(sources, PROMETHEUS_TEXT, (name, error) => assert.fail(`${name}: ${error}`));
  const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
  );
}

Deno.test("captureSources() tells all that the kernel counts", async () => {
  const at = 'interface="eth2",direction="ingress"';
  assert.deepEqual(await samples(), {
    "mermin_ebpf_bpf_fs_writable": 1,
    'mermin_ebpf_map_capacity{map="FLOW_STATS",unit="entries"}': 100,
    'mermin_ebpf_map_capacity{map="FLOW_EVENTS",unit="entries"}': 1024,
    'mermin_ebpf_map_size{map="FLOW_STATS",unit="entries"}': 12,
    'mermin_ebpf_map_ops_total{map="FLOW_STATS",operation="read",status="ok"}': 40,
    'mermin_ebpf_map_ops_total{map="FLOW_STATS",operation="delete",status="ok"}': 18,
    'mermin_ebpf_map_ops_total{map="FLOW_STATS",operation="delete",status="error"}': 2,
    'mermin_ebpf_method{attachment="tcx"}': 1,
    'mermin_ebpf_method{attachment="tc"}': 0,
    [`mermin_interface_bytes_total{${at}}`]: 9000,
    [`mermin_interface_packets_total{${at}}`]: 136,
    [`mermin_capture_packets_total{${at},outcome="counted",reason=""}`]: 90,
    [`mermin_capture_packets_total{${at},outcome="duplicate",reason=""}`]: 18,
    [`mermin_capture_packets_total{${at},outcome="unparsed",reason="not_ip"}`]: 1,
    [`mermin_capture_packets_total{${at},outcome="unparsed",reason="truncated"}`]: 2,
    [`mermin_capture_packets_total{${at},outcome="unparsed",reason="malformed"}`]: 3,
    [`mermin_capture_packets_total{${at},outcome="unparsed",reason="too_deep"}`]: 4,
    [`mermin_capture_packets_total{${at},outcome="lost",reason="table_full"}`]: 5,
    [`mermin_capture_packets_total{${at},outcome="lost",reason="index_error"}`]: 6,
    [`mermin_capture_packets_total{${at},outcome="lost",reason="contended"}`]: 7,
    "mermin_flow_open_packets": 7,
    "mermin_flow_spans_active_total": 12,
    "mermin_flow_spans_created_total": 40,
    "mermin_flow_span_packets_total": 400,
    'mermin_flow_events_total{status="received"}': 3,
  });
});

Deno.test("captureSources() gives outcomes that add up to the packets of the hook", async () => {
  const all = Object.entries(await samples());
  const outcomes = all.filter(([name]) => name.startsWith("mermin_capture_packets_total"));
  assert.equal(outcomes.reduce((sum, [, value]) => sum + value, 0), HOOK.packets);
});

Deno.test("captureSources() adds up interfaces of one name: one that came back has a new index", async () => {
  const hooks = [HOOK, { ...HOOK, ifindex: 3 }, { ...HOOK, direction: "egress" as const }];
  const result = await samples({ counters: () => ({ ...TABLE, hooks }), interfaceName: () => "eth0" });
  assert.equal(result['mermin_interface_packets_total{interface="eth0",direction="ingress"}'], 272);
  assert.equal(result['mermin_interface_packets_total{interface="eth0",direction="egress"}'], 136);
});

Deno.test("captureSources() shows how it is attached and pinned", async () => {
  const result = await samples({ isPinned: false, modes: () => new Set(["clsact"] as const) });
  assert.equal(result["mermin_ebpf_bpf_fs_writable"], 0);
  assert.equal(result['mermin_ebpf_method{attachment="tc"}'], 1);
  assert.equal(result['mermin_ebpf_method{attachment="tcx"}'], 0);
});
