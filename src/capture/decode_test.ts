import assert from "node:assert/strict";
import { NO_SIDE } from "../flow/ends.ts";
import { type RecordValues, recordValues, valuesOf } from "../flow/testing.ts";
import { FlowRecords } from "./decode.ts";
import { FlowRecord } from "./layout.gen.ts";
import { sampleBytes, writeRecord } from "./testing.ts";

/** What bpf-rs/types/tests/samples.rs wrote. */
const SAMPLES: RecordValues[] = [
  {
    addresses: ["fd00::1", "fd00::2"],
    ports: [443, 51234],
    protocol: 6,
    slot: 99_999,
    isFirst: false,
    isLast: false,
    endReasonCode: 2,
    synFrom: 1,
    synAckFrom: 0,
    firstFrom: 1,
    startNs: 1_700_000_000_123_456_789n,
    endNs: 1_700_000_001_323_456_790n,
    ifindex: [2, 70_000],
    packetsDelta: [1, 3],
    bytesDelta: [2, 2 ** 32 + 4],
    packetsTotal: [5, 7],
    bytesTotal: [6, Number.MAX_SAFE_INTEGER],
    tcpFlags: [0x12, 0x1b],
  },
  {
    addresses: ["10.1.2.3", "192.168.200.250"],
    ports: [53, 65535],
    protocol: 17,
    slot: 0,
    isFirst: true,
    isLast: true,
    endReasonCode: 1,
    synFrom: NO_SIDE,
    synAckFrom: NO_SIDE,
    firstFrom: 1,
    startNs: 0xffff_ffffn,
    endNs: 0x1_0000_0000n,
    ifindex: [3, 3],
    packetsDelta: [0, 1],
    bytesDelta: [0, 60],
    packetsTotal: [0, 1],
    bytesTotal: [0, 60],
    tcpFlags: [0, 0],
  },
];

Deno.test("FlowRecords reads the records that Rust wrote", () => {
  const records = new FlowRecords(sampleBytes("FlowRecord"));
  assert.equal(records.bytes.length, SAMPLES.length * FlowRecord.size);
  // There and back, as `seek()` is free to go.
  for (const index of [0, 1, 0]) {
    records.seek(index);
    assert.deepEqual(valuesOf(records), SAMPLES[index]);
  }
});

Deno.test("writeRecord() writes the bytes that Rust wrote", () => {
  const buffer = new Uint8Array(SAMPLES.length * FlowRecord.size).fill(0xaa);
  SAMPLES.forEach((values, i) => writeRecord(buffer, i, values));
  assert.deepEqual(buffer, sampleBytes("FlowRecord"));
});

Deno.test("FlowRecords reads what is in the buffer now, also where it does not begin at 0", () => {
  const whole = new Uint8Array(4 * FlowRecord.size);
  const records = new FlowRecords(whole.subarray(FlowRecord.size));
  records.seek(2);
  for (const slot of [1, 2 ** 32 - 1]) {
    const values = recordValues({ slot, packetsDelta: [slot, 2 ** 53 - 1] });
    writeRecord(whole, 3, values);
    assert.deepEqual(valuesOf(records), values);
  }
});
