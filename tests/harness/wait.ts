/** Waiting for conditions instead of for times. */

const POLL_MS = 20;
/** A machine that is shared may stall for many seconds, and a program may take as long to start. */
const DEFAULT_TIMEOUT_MS = 120_000;

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

/** So often must nothing have changed: what is quiet because the machine stalls moves on between two looks. */
const QUIET_LOOKS = 5;

/** Resolves when `read` has returned the same text for `quietMs` milliseconds, and several times. */
export async function untilQuiet(what: string, read: () => Promise<string>, quietMs = 300): Promise<void> {
  let last = await read();
  let sinceMs = performance.now();
  let looks = 0;
  await until(`${what} to come to rest`, async () => {
    const now = await read();
    if (now !== last) {
      last = now;
      sinceMs = performance.now();
      looks = 0;
    }
    return ++looks > QUIET_LOOKS && performance.now() - sinceMs >= quietMs;
  });
}

/** Below the ports that the kernel gives to whoever asks for any, and to every connection. */
const [FIRST_PORT, LAST_PORT] = [12_000, 29_999];

/** TCP ports on 127.0.0.1 that were free a moment ago, all different; nobody gets one of them by chance meanwhile. */
export function freePorts(count: number): number[] {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    if (isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
