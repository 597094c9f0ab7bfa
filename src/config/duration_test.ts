import { strictEqual } from "node:assert/strict";
import { formatDuration, parseDuration } from "./duration.ts";

Deno.test("parseDuration() reads hours, minutes, seconds and milliseconds", () => {
  const cases: [string, number][] = [
    ["300ms", 300],
    ["5s", 5000],
    ["1m30s", 90_000],
    ["24h", 86_400_000],
    ["1h2m3s4ms", 3_723_004],
    ["0s", 0],
    ["90m", 5_400_000],
    ["1m5ms", 60_005],
  ];
  for (const [text, ms] of cases) strictEqual(parseDuration(text), ms, text);
});

Deno.test("parseDuration() refuses everything else", () => {
  const cases = [
    "",
    "5",
    "5x",
    "s",
    "5 s",
    " 5s",
    "-5s",
    "1.5s",
    "30s1m",
    "5s5s",
    "5S",
    "1d",
    "1e3s",
    "5s\n",
    "9".repeat(20) + "s",
  ];
  for (const text of cases) strictEqual(parseDuration(text), undefined, text);
});

Deno.test("formatDuration() writes what parseDuration() reads", () => {
  for (const ms of [0, 1, 999, 1000, 60_000, 90_500, 3_600_000, 86_400_000, 3_723_004]) {
    strictEqual(parseDuration(formatDuration(ms)), ms, formatDuration(ms));
  }
  strictEqual(formatDuration(90_000), "1m30s");
});
