const UNITS_MS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Reads `300ms`, `5s`, `1m30s` or `24h` as milliseconds; `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  if (!/^(?=\d)(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s)?(\d{1,9}ms)?$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|h|m|s)/g)) totalMs += Number(count) * UNITS_MS[unit];
  return totalMs;
}

/** Writes whole milliseconds the way `parseDuration` reads them, with the largest units first. */
export function formatDuration(ms: number): string {
  let text = "";
  let restMs = ms;
  for (const [unit, unitMs] of Object.entries(UNITS_MS)) {
    const count = Math.floor(restMs / unitMs);
    restMs -= count * unitMs;
    if (count > 0) text += `${count}${unit}`;
  }
  return text || "0s";
}
