import { clearImmediate, setImmediate } from "node:timers";

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

/** Whether `next` settles in this turn of the event loop. */
function isThere(next: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const turn = setImmediate(resolve, false);
  const settle = () => {
    clearImmediate(turn);
    resolve(true);
  };
  next.then(settle, settle);
  return promise;
}
