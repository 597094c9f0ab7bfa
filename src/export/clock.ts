/** Time as the export code sees it, so that tests can make it. */
export interface Clock {
  /** Milliseconds that only grow, as `performance.now()`. */
  now(): number;
  /** Calls `action` once after `delayMs`; the function returned cancels that. */
  after(delayMs: number, action: () => void): () => void;
}

/** Longest delay that a timer of the runtime takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};
