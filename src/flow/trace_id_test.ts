import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { U64 } from "./span.ts";
import { tupleOf } from "./testing.ts";
import { TraceIds } from "./trace_id.ts";

const DAY_MS = 86_400_000;

function u64(value: bigint): U64 {
  return { lo: Number(value & 0xffff_ffffn), hi: Number(value >> 32n) };
}

function idOf(ids: TraceIds, tuple = tupleOf("10.0.0.1", "10.0.0.2", 6, 40000, 443), startNs = 0n): string {
  const out = new Uint8Array(16);
  ids.write(tuple, u64(startNs), out);
  return out.toHex();
}

/** The definition once more, in BigInt and with another hash library. */
function expectedId(seed: number, timeoutMs: number, tuple: Uint8Array, startNs: bigint): string {
  const head = Uint8Array.of(seed >> 8, seed & 255, ...tuple);
  const fnv = head.reduce((hash, byte) => (hash ^ BigInt(byte)) * 0x01000193n & 0xffff_ffffn, 0x811c9dc5n);
  const timeout = BigInt(timeoutMs);
  const rest = startNs / 1_000_000n - fnv % timeout;
  const epoch = rest < 0n ? -((timeout - 1n - rest) / timeout) : rest / timeout;
  const message = new Uint8Array(head.length + 8);
  message.set(head);
  new DataView(message.buffer).setBigInt64(head.length, epoch);
  return createHash("sha256").update(message).digest("hex").slice(0, 32);
}

Deno.test("TraceIds.write() follows its byte layout", async (t) => {
  const ipv4 = tupleOf("192.0.2.1", "198.51.100.7", 17, 40000, 53);
  const ipv6 = tupleOf("2001:db8::1", "2001:db8::2", 6, 443, 51515);
  const cases = [
    { name: "IPv4", seed: 0, timeoutMs: DAY_MS, tuple: ipv4, startNs: 1_790_000_000_123_456_789n },
    { name: "IPv6", seed: 7, timeoutMs: DAY_MS, tuple: ipv6, startNs: 1_790_000_000_123_456_789n },
    { name: "16-bit seed", seed: 0xabcd, timeoutMs: DAY_MS, tuple: ipv6, startNs: 1n },
    { name: "start before the phase", seed: 0, timeoutMs: DAY_MS, tuple: ipv4, startNs: 0n },
    { name: "epoch over 32 bits", seed: 0, timeoutMs: 1, tuple: ipv4, startNs: 1_790_000_000_000_999_999n },
    { name: "last nanosecond of 64 bits", seed: 1, timeoutMs: 1000, tuple: ipv6, startNs: 0xffff_ffff_ffff_ffffn },
    { name: "timeout over 32 bits", seed: 0, timeoutMs: 2 ** 40, tuple: ipv4, startNs: 1_790_000_000_000_000_000n },
  ];
  for (const { name, seed, timeoutMs, tuple, startNs } of cases) {
    await t.step(name, () => {
      assert.equal(
        idOf(new TraceIds(seed, timeoutMs), tuple, startNs),
        expectedId(seed, timeoutMs, tuple.bytes, startNs),
      );
    });
  }
});

Deno.test("TraceIds.write() is the same from both ends, and differs by port and seed", () => {
  const ids = new TraceIds(0, DAY_MS);
  const there = idOf(ids, tupleOf("10.0.0.1", "10.0.0.2", 6, 40000, 443));
  assert.equal(idOf(ids, tupleOf("10.0.0.2", "10.0.0.1", 6, 443, 40000)), there);
  assert.notEqual(idOf(ids, tupleOf("10.0.0.1", "10.0.0.2", 6, 40001, 443)), there);
  assert.notEqual(idOf(new TraceIds(1, DAY_MS), tupleOf("10.0.0.1", "10.0.0.2", 6, 40000, 443)), there);
});

Deno.test("TraceIds.write() tells apart UDP-Lite connections that share a Community ID", () => {
  const ids = new TraceIds(0, DAY_MS);
  assert.notEqual(
    idOf(ids, tupleOf("10.0.0.1", "10.0.0.2", 136, 1, 2)),
    idOf(ids, tupleOf("10.0.0.1", "10.0.0.2", 136, 1, 3)),
  );
});

Deno.test("TraceIds.write() changes exactly once per timeout, at a moment of the connection's own", () => {
  const ids = new TraceIds(0, 100);
  const begin = 1_790_000_000_000n;
  const changes = [40000, 40001].map((port) => {
    const tuple = tupleOf("10.0.0.1", "10.0.0.2", 6, port, 443);
    const moments = Array.from({ length: 300 }, (_, ms) => idOf(ids, tuple, (begin + BigInt(ms)) * 1_000_000n));
    return moments.flatMap((id, ms) => ms > 0 && id !== moments[ms - 1] ? [ms] : []);
  });
  for (const moments of changes) {
    assert.equal(moments.length, 3);
    assert.deepEqual(moments.slice(1).map((ms, i) => ms - moments[i]), [100, 100]);
  }
  assert.notEqual(changes[0][0], changes[1][0]);
});

Deno.test("TraceIds refuses a timeout below 1 ms", () => {
  for (const timeoutMs of [0, -1, NaN]) assert.throws(() => new TraceIds(0, timeoutMs), RangeError);
});
