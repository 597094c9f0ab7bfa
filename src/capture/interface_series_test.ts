import assert from "node:assert/strict";
import { InterfaceSeries } from "./interface_series.ts";
import type { HookCounters } from "./loader.ts";

const NONE = { bytes: 0, counted: 0, duplicate: 0, keyScopeConflict: 0, unparsed: [], filtered: 0, lost: [] };
const STALE_MS = 1000;

function setUp() {
  const kernel = { hooks: [] as HookCounters[], names: new Map<number, string>(), nowMs: 0 };
  const series = new InterfaceSeries({
    counters: () => kernel.hooks,
    interfaceName: (ifindex) => kernel.names.get(ifindex) ?? `#${ifindex}`,
    staleMs: STALE_MS,
    now: () => kernel.nowMs,
  });
  const hook = (ifindex: number, packets: number, direction: HookCounters["direction"] = "ingress") => ({
    ...{ ...NONE, ifindex, packets, direction },
  });
  const read = () => series.read().map((each) => `${each.interface} ${each.direction} ${each.counters.packets}`).sort();
  return { kernel, series, hook, read };
}

Deno.test("InterfaceSeries.read() gives the counters by name, and none of the sum over what is gone", () => {
  const { kernel, hook, read } = setUp();
  kernel.names.set(2, "eth0");
  kernel.hooks = [hook(2, 5), hook(2, 6, "egress"), hook(3, 7), hook(0, 99)];
  assert.deepEqual(read(), ["#3 ingress 7", "eth0 egress 6", "eth0 ingress 5"]);
});

Deno.test("InterfaceSeries.read() shows what went away for the stale time", () => {
  const { kernel, series, hook, read } = setUp();
  kernel.names.set(2, "eth0");
  kernel.hooks = [hook(2, 5)];
  read();
  // The counters went on between the scrape and the end.
  kernel.hooks = [hook(2, 8)];
  series.look();
  kernel.hooks = [];
  // By now nobody knows the name of the index any more.
  kernel.names.clear();
  kernel.nowMs = STALE_MS - 1;
  assert.deepEqual(read(), ["eth0 ingress 8"]);
  kernel.nowMs = STALE_MS;
  assert.deepEqual(read(), []);
});

Deno.test("InterfaceSeries.read() begins anew with an interface that came back under its name", () => {
  const { kernel, hook, read } = setUp();
  kernel.names.set(2, "eth0").set(7, "eth0");
  kernel.hooks = [hook(2, 5)];
  read();
  kernel.hooks = [hook(7, 1)];
  kernel.nowMs = 1;
  assert.deepEqual(read(), ["eth0 ingress 1"]);
});

Deno.test("InterfaceSeries.read() drops the old name of an interface at once", () => {
  const { kernel, hook, read } = setUp();
  kernel.names.set(2, "eth0");
  kernel.hooks = [hook(2, 5)];
  read();
  kernel.names.set(2, "wan0");
  kernel.nowMs = 1;
  assert.deepEqual(read(), ["wan0 ingress 5"]);
});
