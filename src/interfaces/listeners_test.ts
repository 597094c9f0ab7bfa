import assert from "node:assert/strict";
import type { ListeningSocket } from "../capture/loader.ts";
import { FakeLogger } from "../export/testing.ts";
import { Listeners } from "./listeners.ts";

const TCP = 6;
const UDP = 17;

function socket(protocol: number, address: string, port: number, dual = false): ListeningSocket {
  return { protocol, address, port, dual };
}

function setUp(...sockets: ListeningSocket[]) {
  const kernel = { sockets, reads: 0, error: undefined as Error | undefined, nowMs: 0 };
  const logger = new FakeLogger();
  const listeners = new Listeners({
    read: () => {
      kernel.reads++;
      if (kernel.error) throw kernel.error;
      return kernel.sockets;
    },
    logger,
    now: () => kernel.nowMs,
  });
  return { kernel, listeners, logger };
}

Deno.test("Listeners.listens() knows protocol, port, address, and all addresses of a family", () => {
  const { listeners } = setUp(
    socket(TCP, "10.0.0.1", 80),
    socket(TCP, "10.0.0.2", 80),
    socket(TCP, "0.0.0.0", 81),
    socket(TCP, "::", 82),
    socket(TCP, "::", 83, true),
    socket(UDP, "fd00::1", 53),
  );
  const cases: [protocol: number, address: string, port: number, expected: boolean][] = [
    [TCP, "10.0.0.1", 80, true],
    [TCP, "10.0.0.2", 80, true],
    [TCP, "10.0.0.3", 80, false],
    [UDP, "10.0.0.1", 80, false],
    [TCP, "10.0.0.1", 81, true],
    [TCP, "fd00::1", 81, false],
    [TCP, "10.0.0.1", 82, false],
    [TCP, "fd00::1", 82, true],
    [TCP, "10.0.0.1", 83, true],
    [TCP, "fd00::1", 83, true],
    [UDP, "fd00::1", 53, true],
    [UDP, "fd00::2", 53, false],
    [UDP, "fd00::1", 54, false],
  ];
  for (const [protocol, address, port, expected] of cases) {
    assert.equal(listeners.listens(protocol, address, port), expected, `${protocol} ${address} ${port}`);
  }
  assert.equal(listeners.count(), 6);
});

Deno.test("Listeners asks the kernel when it is asked, and at most once a second", () => {
  const { kernel, listeners } = setUp();
  assert.equal(kernel.reads, 0);
  for (const [nowMs, reads] of [[0, 1], [999, 1], [1000, 2], [1001, 2], [9000, 3]]) {
    kernel.nowMs = nowMs;
    listeners.listens(TCP, "10.0.0.1", 80);
    assert.equal(kernel.reads, reads, `at ${nowMs}`);
  }
  kernel.sockets = [socket(TCP, "0.0.0.0", 80)];
  kernel.nowMs = 10_000;
  assert.equal(listeners.listens(TCP, "10.0.0.1", 80), true);
});

Deno.test("Listeners without an answer tells so, knows nobody, and asks again later", () => {
  const { kernel, listeners, logger } = setUp(socket(TCP, "0.0.0.0", 80));
  kernel.error = new Error("cannot ask who listens: No such file or directory");
  for (const [nowMs, reads] of [[0, 1], [59_999, 1], [60_000, 2]]) {
    kernel.nowMs = nowMs;
    assert.equal(listeners.listens(TCP, "10.0.0.1", 80), false);
    assert.equal(kernel.reads, reads, `at ${nowMs}`);
  }
  assert.deepEqual(logger.lines, ["warn listeners_unknown", "warn listeners_unknown"]);
});
