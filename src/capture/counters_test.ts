import assert from "node:assert/strict";
import { readHookCounters, readTableCounters, readU64 } from "./counters.ts";
import { HookReport, TableReport } from "./layout.gen.ts";
import { sampleBytes } from "./testing.ts";

Deno.test("readU64() is exact up to 2^53 - 1", () => {
  const view = new DataView(new ArrayBuffer(24));
  for (const value of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
    view.setBigUint64(8, BigInt(value), true);
    assert.equal(readU64(view, 8), value);
  }
});

Deno.test("readTableCounters() reads the report that Rust wrote", () => {
  assert.deepEqual(readTableCounters(new DataView(sampleBytes("TableReport").buffer)), {
    capacity: 100_000,
    used: 12,
    created: 2 ** 33 + 30,
    freed: 2 ** 33 + 18,
    pressed: 4,
    leaked: 2,
    openPackets: 77,
    taken: 2 ** 33 + 500,
    filtered: 44,
    killed: 2 ** 33 + 9,
    conntrack: { entries: 5, events: 2 ** 33 + 6, lost: 7, overflows: 8 },
  });
});

Deno.test("readHookCounters() reads the report that Rust wrote, wherever it stands", () => {
  const bytes = new Uint8Array(TableReport.size + 2 * HookReport.size);
  const offset = TableReport.size + HookReport.size;
  bytes.set(sampleBytes("HookReport"), offset);
  const view = new DataView(bytes.buffer);
  assert.deepEqual(readHookCounters(view, offset), {
    ifindex: 7,
    direction: "egress",
    packets: 158,
    bytes: 2 ** 40 + 1,
    counted: 90,
    duplicate: 18,
    keyScopeConflict: 8,
    unparsed: [1, 2, 3, 4],
    filtered: 22,
    lost: [5, 6, 7],
  });
  assert.equal(readHookCounters(view, TableReport.size).direction, "ingress");
});
