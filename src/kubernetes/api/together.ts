import { clearImmediate, setImmediate } from "node:timers";

/** What is read of an HTTP/1.1 connection takes a turn of the event loop to get here, behind what came before it. */
const TURNS = 4;

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

/** Whether `next` settles in a few turns of the event loop. */
function isThere(next: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let turns = 0;
  const turn = () => {
    if (++turns > TURNS) resolve(false);
    else immediate = setImmediate(turn);
  };
  let immediate = setImmediate(turn);
  const settle = () => {
    clearImmediate(immediate);
    resolve(true);
  };
  next.then(settle, settle);
  return promise;
}
