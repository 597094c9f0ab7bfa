/** Waiting for conditions instead of for times. */

const POLL_MS = 20;
const DEFAULT_TIMEOUT_MS = 30_000;

/** Resolves after `ms` milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Asks `probe` again and again until it returns something truthy, which is the result.
 *
 * @throws {Error} `Waited … for <what>` after `timeoutMs`, which only a fault lets pass.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  timeoutMs = DEFAULT_TIMEOUT_MS,
): Promise<NonNullable<Awaited<T>>> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const result = await probe();
    if (result) return result;
    if (performance.now() > deadlineMs) throw new Error(`Waited ${timeoutMs} ms for ${what}`);
    await sleep(POLL_MS);
  }
}

/** Resolves when `read` has returned the same text for `quietMs` milliseconds. */
export async function untilQuiet(what: string, read: () => Promise<string>, quietMs = 300): Promise<void> {
  let last = await read();
  let sinceMs = performance.now();
  await until(`${what} to come to rest`, async () => {
    const now = await read();
    if (now !== last) {
      last = now;
      sinceMs = performance.now();
    }
    return performance.now() - sinceMs >= quietMs;
  });
}

/** TCP ports on 127.0.0.1 that were free a moment ago, all different. */
export function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map((listener) => listener.addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}
