/**
 * What `source` brings; whenever nothing more is there, a `pause` comes before the next is waited for. To wake up for each
 * chunk of a watch is more work than to take it: what comes in a pause is taken together.
 */
export async function* together<T>(
  source: AsyncIterable<T>,
  pause: () => Promise<void>,
): AsyncGenerator<T, void, void> {
  const items = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = items.next();
      if (!await isThere(next)) await pause();
      const { done, value } = await next;
      if (done) return;
      yield value;
    }
  } finally {
    await items.return?.();
  }
}

/** Whether `next` settles before anything else happens in the process. */
function isThere(next: Promise<unknown>): Promise<boolean> {
  const { promise: turn, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, 0, false);
  const settled = next.then(() => true, () => true);
  return Promise.race([settled, turn]).finally(() => clearTimeout(timer));
}
