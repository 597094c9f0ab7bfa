import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { type Expression, queryOf, selects } from "./label_selector.ts";

const cases: { expression: Expression; query: string; selected: string[] }[] = [
  { expression: { key: "t", operator: "In", values: ["a", "b"] }, query: "t in (a,b)", selected: ["a", "b"] },
  { expression: { key: "t", operator: "NotIn", values: ["a"] }, query: "t notin (a)", selected: ["b", "c", "none"] },
  { expression: { key: "t", operator: "Exists", values: [] }, query: "t", selected: ["a", "b", "c"] },
  { expression: { key: "t", operator: "DoesNotExist", values: [] }, query: "!t", selected: ["none"] },
];
const OBJECTS: Record<string, Record<string, string>> = { a: { t: "a" }, b: { t: "b" }, c: { t: "c" }, none: {} };

for (const { expression, query, selected } of cases) {
  Deno.test(`selects() and queryOf() know ${expression.operator}`, () => {
    const selector = { matchLabels: {}, matchExpressions: [expression] };
    strictEqual(queryOf(selector), query);
    deepStrictEqual(Object.keys(OBJECTS).filter((name) => selects(selector, OBJECTS[name])), selected);
  });
}

Deno.test("selects() wants all labels and all conditions", () => {
  const selector = { matchLabels: { x: "1" }, matchExpressions: [cases[0].expression] };
  strictEqual(queryOf(selector), "x=1,t in (a,b)");
  strictEqual(selects(selector, { x: "1", t: "a" }), true);
  strictEqual(selects(selector, { x: "2", t: "a" }), false);
  strictEqual(selects(selector, { x: "1" }), false);
  strictEqual(selects({ matchLabels: {}, matchExpressions: [] }), true);
});

Deno.test("selects() finds no label that only the language knows", () => {
  for (const [operator, expected] of [["Exists", false], ["DoesNotExist", true]] as const) {
    const selector = { matchLabels: {}, matchExpressions: [{ key: "constructor", operator, values: [] }] };
    strictEqual(selects(selector, {}), expected);
    strictEqual(selects(selector, { constructor: "acme" } as Record<string, string>), !expected);
  }
});
