import { strictEqual } from "node:assert/strict";
import { type Answer, joinedFacts } from "./answers.ts";

const answer = (): Answer => ({ found: [], facts: undefined, joined: undefined });

/** Answers that stay in memory because of `value`. */
function held(value: unknown, seen = new Set<unknown>()): number {
  if (typeof value !== "object" || value === null || seen.has(value)) return 0;
  seen.add(value);
  const below = Object.values(value).map((part) => held(part, seen));
  return below.reduce((sum, count) => sum + count, "joined" in value ? 1 : 0);
}

Deno.test("joinedFacts() asks once for two answers, and never for others", () => {
  const [a, b, c] = [answer(), answer(), answer()];
  let asked = 0;
  const say = () => ({ attributes: [["n", `${++asked}`]] as const, pod: undefined });
  const first = joinedFacts(a, b, say);
  strictEqual(joinedFacts(a, b, say), first);
  joinedFacts(a, c, say);
  strictEqual(asked, 2);
});

Deno.test("joinedFacts() keeps no answers of before when both ends are answered anew by turns", () => {
  let [a, b] = [answer(), answer()];
  for (let i = 0; i < 100; i++) {
    joinedFacts(a, b, () => undefined);
    joinedFacts(b, a, () => undefined);
    if (i % 2 === 0) a = answer();
    else b = answer();
  }
  joinedFacts(a, b, () => undefined);
  strictEqual(held(a), 1);
});
