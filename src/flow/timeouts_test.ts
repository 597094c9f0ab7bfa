import assert from "node:assert/strict";
import { MAX_LIMIT_MS, pollLimits, type SpanTimeouts } from "./timeouts.ts";

const SPAN: SpanTimeouts = {
  maxRecordIntervalMs: 60_000,
  genericTimeoutMs: 30_000,
  icmpTimeoutMs: 10_000,
  tcpTimeoutMs: 20_000,
  tcpFinTimeoutMs: 5_000,
  tcpRstTimeoutMs: 4_000,
  udpTimeoutMs: 50_000,
};

Deno.test("pollLimits() maps every setting to its limit", () => {
  assert.deepEqual(pollLimits(SPAN), {
    genericIdleMs: 30_000,
    icmpIdleMs: 10_000,
    tcpIdleMs: 20_000,
    tcpFinMs: 5_000,
    tcpRstMs: 4_000,
    udpIdleMs: 50_000,
    activeMs: 60_000,
  });
});

Deno.test("pollLimits() keeps limits in whole, positive 32-bit milliseconds", () => {
  const cases: [number, number][] = [[0, 1], [0.2, 1], [1.5, 2], [2 ** 33, MAX_LIMIT_MS], [Infinity, MAX_LIMIT_MS]];
  for (const [udpTimeoutMs, expected] of cases) {
    assert.equal(pollLimits({ ...SPAN, udpTimeoutMs }).udpIdleMs, expected);
  }
});
