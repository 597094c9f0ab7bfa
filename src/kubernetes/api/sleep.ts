/** Resolves after `ms`, or when `signal` aborts; never rejects. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

/** Ends at the next multiple of `periodMs`: those who sleep by one period, or by parts of it, wake up together. */
export function sleepToTick(periodMs: number, signal: AbortSignal): Promise<void> {
  return sleep(periodMs - performance.now() % periodMs, signal);
}

/** What `work` resolves to, or nothing after `ms`; its signal aborts then. Rejects as `work` does. */
export async function within<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  const ended = new AbortController();
  try {
    const result = await Promise.race([work(ended.signal), sleep(ms, ended.signal)]);
    return result ?? undefined;
  } finally {
    ended.abort();
  }
}
