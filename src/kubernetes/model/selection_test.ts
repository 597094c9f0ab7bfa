import { deepStrictEqual } from "node:assert/strict";
import { selectionsOf, type Selector } from "./selection.ts";
import { object } from "../testing.ts";

const selector = (change: Partial<Selector>): Selector => ({
  kind: "Pod",
  namespaces: [],
  include: true,
  matchLabels: {},
  matchExpressions: [],
  ...change,
});

const PODS = [
  object({ name: "a1", namespace: "a", labels: { app: "x" } }),
  object({ name: "a2", namespace: "a", labels: { app: "y" } }),
  object({ name: "b1", namespace: "b", labels: { app: "x" } }),
];

const cases: { name: string; selectors: Partial<Selector>[]; scopes: unknown[]; wanted: string[] }[] = [
  { name: "everything", selectors: [{}], scopes: [{ namespace: "", query: {} }], wanted: ["a1", "a2", "b1"] },
  {
    name: "two namespaces, by two lists",
    selectors: [{ namespaces: ["a", "c"] }],
    scopes: [{ namespace: "a", query: {} }, { namespace: "c", query: {} }],
    wanted: ["a1", "a2"],
  },
  {
    name: "labels, by the API server",
    selectors: [{ matchLabels: { app: "x" } }],
    scopes: [{ namespace: "", query: { labelSelector: "app=x" } }],
    wanted: ["a1", "b1"],
  },
  {
    name: "an excluded namespace, by the API server",
    selectors: [{ include: false, namespaces: ["b"] }],
    scopes: [{ namespace: "", query: { fieldSelector: "metadata.namespace!=b" } }],
    wanted: ["a1", "a2"],
  },
  {
    name: "excluded labels, here",
    selectors: [{}, { include: false, matchLabels: { app: "x" } }],
    scopes: [{ namespace: "", query: {} }],
    wanted: ["a2"],
  },
  {
    name: "two selectors of one kind, here",
    selectors: [{ namespaces: ["b"] }, { namespaces: ["a"], matchLabels: { app: "y" } }],
    scopes: [{ namespace: "b", query: {} }, { namespace: "a", query: {} }],
    wanted: ["a2", "b1"],
  },
];
for (const { name, selectors, scopes, wanted } of cases) {
  Deno.test(`selectionsOf() takes ${name}`, () => {
    const [{ kind, ...selection }, ...others] = selectionsOf(selectors.map(selector));
    deepStrictEqual([kind, others], ["Pod", []]);
    deepStrictEqual(selection.scopes, scopes);
    deepStrictEqual(PODS.filter(selection.wants).map(({ metadata }) => metadata.name), wanted);
  });
}

Deno.test("selectionsOf() takes all kinds when nothing is selected", () => {
  deepStrictEqual(selectionsOf([]).length, 15);
});
