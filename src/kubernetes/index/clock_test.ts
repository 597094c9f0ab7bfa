/** Clocks that differ cost names, never make wrong ones. */

import { ok } from "node:assert/strict";
import { AddressIndex } from "./address_index.ts";
import { addressKey } from "../model/address_key.ts";
import { defaultAttributes } from "../defaults.ts";
import { podEnd, podStartMs } from "./lifetime.ts";
import { compileRules } from "./rules.ts";
import { SIDES, type Stored } from "../model/stored.ts";
import { object } from "../testing.ts";

const ADDRESS = "10.0.0.1";
/** As the API has it: whole seconds, cut off. */
const stamp = (timeMs: number) => new Date(Math.floor(timeMs / 1000) * 1000).toISOString();

interface Life {
  readonly startMs: number;
  /** Of its last container; without it the pod runs. */
  readonly finishedMs?: number;
}

function pod(name: string, { startMs, finishedMs }: Life): Stored {
  const state = finishedMs === undefined ? { running: {} } : { terminated: { finishedAt: stamp(finishedMs) } };
  const status = {
    phase: finishedMs === undefined ? "Running" : "Failed",
    ...{ startTime: stamp(startMs), podIP: ADDRESS, hostIP: "10.1.0.1", containerStatuses: [{ state }] },
  };
  const whole = object({ name, status });
  return { kind: "Pod", uid: whole.metadata.uid, object: whole, goneMs: Infinity };
}

/** Of packets of two pods that have one address one after the other, those with a wrong name, and with a name. */
function handOver(skewMs: number, random: (below: number) => number): { wrong: number; named: number } {
  const finishedMs = 20_000 + random(3000);
  // A node gives the address on when the first pod has ended; the second may have waited for it.
  const takenMs = finishedMs + random(1500);
  const all = new AddressIndex(compileRules("destination", defaultAttributes("destination").association));
  for (const one of [pod("old", { startMs: 5000, finishedMs }), pod("new", { startMs: takenMs - random(10_000) })]) {
    all.put(one, one.object, podStartMs(one.object), 40_000, podEnd(one.object, 40_000));
  }
  let [wrong, named] = [0, 0];
  for (let timeMs = 10_000; timeMs < 40_000; timeMs += 100) {
    const owner = timeMs <= finishedMs ? "old" : timeMs >= takenMs ? "new" : undefined;
    if (!owner) continue;
    const startMs = timeMs + skewMs;
    const end = { address: ADDRESS, key: addressKey(ADDRESS), side: SIDES.destination, port: 80, peerPort: 40_000 };
    const found = all.find({ ...end, transport: "tcp", networkType: "ipv4", startMs, endMs: startMs });
    if (found.length === 0) continue;
    if (found[0].object.metadata.name === owner) named++;
    else wrong++;
  }
  return { wrong, named };
}

Deno.test("flows have no wrong name while clocks differ by less than a second", () => {
  let state = 1;
  const random = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below;
  const sum = { wrong: 0, named: 0 };
  for (let round = 0; round < 1000; round++) {
    const { wrong, named } = handOver(random(2000) - 999, random);
    sum.wrong += wrong;
    sum.named += named;
  }
  ok(sum.wrong === 0, `${sum.wrong} wrong names`);
  ok(sum.named > 150 * 1000, `only ${sum.named} names`);
});
