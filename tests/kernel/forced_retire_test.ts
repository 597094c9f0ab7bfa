/**
 * All flows are retired again and again, as fast as the loader can, while two CPUs send into them at full rate.
 *
 * The moments that matter last nanoseconds, so one case widens them: every packet idles after it has found its flow. Then
 * this fails when the loader does not wait for running programs, and when the programs do not compare the key.
 */

import assert from "node:assert/strict";
import { type CaptureSession, FlowRecords } from "../../src/capture/mod.ts";
import { Network } from "../harness/netns.ts";
import { Traffic } from "../harness/traffic.ts";
import { attachTo, NOTHING_DUE, openSession, sessionOptions } from "./session.ts";

const PORT = 7000;
/** Packets by source port; the flows' other port is `PORT`. */
type Packets = Map<number, number>;

/** Retires everything once and adds what the records hold. */
async function retireAll(session: CaptureSession, records: FlowRecords, packets: Packets): Promise<number> {
  let retired = 0;
  await session.sweep({ ...NOTHING_DUE, force: true });
  for (let count = session.read(); count > 0; count = session.read()) {
    for (let i = 0; i < count; i++) {
      records.seek(i);
      if (records.protocol !== 17) continue;
      const sourcePort = records.portA === PORT ? records.portB : records.portA;
      packets.set(sourcePort, (packets.get(sourcePort) ?? 0) + records.packetsDelta(0) + records.packetsDelta(1));
    }
    retired += count;
  }
  return retired;
}

const cases = [
  { flows: 1, raceWindow: 0, packets: 800_000 },
  { flows: 256, raceWindow: 0, packets: 800_000 },
  { flows: 1, raceWindow: 1000, packets: 30_000 },
  { flows: 64, raceWindow: 1000, packets: 30_000 },
];
for (const { flows, raceWindow, packets: total } of cases) {
  const name = raceWindow > 0 ? "with the race window widened" : "at full rate";
  Deno.test(`retiring ${flows} flows without a pause under two CPUs ${name} loses no packet`, async () => {
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const { left, right } = network;
    await using _sink = await traffic.sink(right.namespace, PORT, 1);
    using opened = await openSession(sessionOptions(left, { raceWindow }));
    const { session } = opened;
    await attachTo(session, left.interfaceName);
    const records = new FlowRecords(session.records);
    const packets: Packets = new Map();
    let done = false;
    const options = { to: right.ipv4, port: PORT, "source-port": 20_000, threads: 2, flows, burst: 32 };
    const blast = traffic.blast(left.namespace, { ...options, packets: total }).finally(() => done = true);
    let retired = 0;
    while (!done) retired += await retireAll(session, records, packets);
    const { ports } = await blast;
    await session.detachAll();
    retired += await retireAll(session, records, packets);

    assert.ok(retired > 2 * flows, `only ${retired} flows were retired`);
    const sent = ports.filter(([, count]) => count > 0).sort(([a], [b]) => a - b);
    assert.deepEqual([...packets].sort(([a], [b]) => a - b), sent);
    const { used, created, freed, leaked, hooks } = session.counters();
    assert.deepEqual({ used, leaked, open: created - freed }, { used: 0, leaked: 0, open: 0 });
    for (const { packets, counted, duplicate, unparsed, lost } of hooks) {
      const sum = [counted, duplicate, ...unparsed, ...lost].reduce((a, b) => a + b);
      assert.equal(packets, sum);
      assert.deepEqual(lost, [0, 0, 0]);
    }
  });
}
