import assert from "node:assert/strict";
import { NO_SIDE } from "../flow/ends.ts";
import { Nat } from "../flow/record.ts";
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
    nat: Nat.ORIGINAL,
    natAddresses: ["fd00::3", "fd00::2"],
    natPorts: [8443, 51234],
    natFrom: 1,
    slot: 99_999,
    isFirst: false,
    isLast: false,
    endReasonCode: 2,
    synFrom: 1,
    synAckFrom: 0,
    firstFrom: 1,
    finFrom: 1,
    isEstablished: true,
    vlan: 4094,
    handshakeNs: 1_234_567,
    startNs: 1_700_000_000_123_456_789n,
    endNs: 1_700_000_001_323_456_790n,
    hook: [4, 140_001],
    interfaces: [2, 70_000, 5],
    packetsDelta: [1, 3],
    bytesDelta: [2, 2 ** 32 + 4],
    packetsTotal: [5, 7],
    bytesTotal: [6, Number.MAX_SAFE_INTEGER],
    tcpFlags: [0x12, 0x1b],
    isFinAcked: [false, true],
    latencyNs: [0, 2 ** 33 + 5],
    jitterNs: [0, 678_901],
    latencyCount: [0, 9],
    isIpKnown: [true, true],
    trafficClass: [0xb8, 0x03],
    ttl: [64, 255],
    flowLabel: [0xf_ffff, 1],
    isIcmpKnown: [false, false],
    icmpType: [0, 0],
    icmpCode: [0, 0],
    spi: [0, 0],
  },
  {
    addresses: ["10.1.2.3", "192.168.200.250"],
    ports: [53, 65535],
    protocol: 17,
    nat: Nat.NONE,
    natAddresses: ["0.0.0.0", "0.0.0.0"],
    natPorts: [0, 0],
    natFrom: NO_SIDE,
    slot: 0,
    isFirst: true,
    isLast: true,
    endReasonCode: 1,
    synFrom: NO_SIDE,
    synAckFrom: NO_SIDE,
    firstFrom: 1,
    finFrom: NO_SIDE,
    isEstablished: false,
    vlan: 0xffff,
    handshakeNs: 0,
    startNs: 0xffff_ffffn,
    endNs: 0x1_0000_0000n,
    hook: [7, 6],
    interfaces: [3],
    packetsDelta: [0, 1],
    bytesDelta: [0, 60],
    packetsTotal: [0, 1],
    bytesTotal: [0, 60],
    tcpFlags: [0, 0],
    isFinAcked: [false, false],
    latencyNs: [0, 0],
    jitterNs: [0, 0],
    latencyCount: [0, 0],
    isIpKnown: [false, true],
    trafficClass: [0, 1],
    ttl: [0, 63],
    flowLabel: [0, 0],
    isIcmpKnown: [false, false],
    icmpType: [0, 0],
    icmpCode: [0, 0],
    spi: [0, 0],
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
