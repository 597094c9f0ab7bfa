import { strictEqual } from "node:assert/strict";
import { distance, nearest } from "./nearest.ts";

Deno.test("distance() counts insertions, deletions, replacements and swaps", () => {
  const cases: [string, string, number][] = [
    ["", "", 0],
    ["abc", "", 3],
    ["", "ab", 2],
    ["timeout", "timeout", 0],
    ["timout", "timeout", 1],
    ["timeuot", "timeout", 1],
    ["kitten", "sitting", 3],
    ["ca", "abc", 3],
  ];
  for (const [a, b, expected] of cases) {
    strictEqual(distance(a, b), expected, `${a} ${b}`);
    strictEqual(distance(b, a), expected, `${b} ${a}`);
  }
});

Deno.test("nearest() gives the closest known name, or none when all are far", () => {
  const known = ["tcp_timeout", "tcp_fin_timeout", "udp_timeout", "port"];
  const cases: [string, string | undefined][] = [
    ["tcp_timout", "tcp_timeout"],
    ["TCP_TIMEOUT", "tcp_timeout"],
    ["utp_timeout", "udp_timeout"],
    ["pot", "port"],
    ["x", undefined],
    ["something_else", undefined],
    ["p".repeat(100_000), undefined],
  ];
  for (const [name, expected] of cases) strictEqual(nearest(name, known), expected, name.slice(0, 20));
  strictEqual(nearest("x", []), undefined);
});
