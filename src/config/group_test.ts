import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import type { Entry, Node, ObjectNode } from "./document.ts";
import { ConfigError } from "./errors.ts";
import { blocks, group, labelled, optional } from "./group.ts";
import { bool, duration, integer, secret, text } from "./kinds.ts";
import { load } from "./load.ts";
import { later, required } from "./setting.ts";
import { loadPlain, node, type Plain, sources } from "./testing.ts";

const table = group("", {
  tcp_timeout: duration("20s", ""),
  max_items: integer(4, "", { min: 1, max: 9 }),
  inner: group("", { on: bool(true, ""), secret_key: secret("", "") }),
  extra: optional(group("", { name: required(text("", "")) })),
  rule: blocks(group("", { name: text("x", "") })),
  kind: labelled("", { one: group("", { name: text("", "") }), two: group("", { name: text("", "") }) }),
  future: later("time travel", optional(group("", { year: integer(2000, "", { min: 0, max: 3000 }) }))),
}, {
  check(value, complain) {
    if (value.maxItems === 7) complain(["max_items"], "seven is taken");
  },
});

function problems(value: { [name: string]: Plain }): readonly string[] {
  try {
    loadPlain(table, value);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

Deno.test("group() gives defaults under the program's names, and leaves optional groups out", () => {
  const expected = {
    tcpTimeoutMs: 20_000,
    maxItems: 4,
    inner: { on: true, secretKey: "" },
    extra: undefined,
    rule: [],
    kind: { one: { name: "" }, two: { name: "" } },
    future: undefined,
  };
  deepStrictEqual(loadPlain(table, {}).value, expected);
  deepStrictEqual(table.default, expected);
});

Deno.test("group() reads what is given", () => {
  const { value } = loadPlain(table, { inner: { on: false }, extra: { name: "n" }, rule: [{ name: "a" }, {}] });
  deepStrictEqual([value.inner.on, value.extra, value.rule], [false, { name: "n" }, [{ name: "a" }, { name: "x" }]]);
});

Deno.test("group() reports everything that is wrong, with the nearest known name", () => {
  deepStrictEqual(problems({ max_itmes: 1, tcp_timeout: 5, inner: 5, extra: {}, zzz: 1, rule: [{ nam: "x" }] }), [
    'f:1:1: max_itmes: unknown setting; did you mean "max_items"?',
    "f:1:1: zzz: unknown setting; known here: tcp_timeout, max_items, inner, extra, rule, kind and future",
    'f:1:1: tcp_timeout = 5: not a duration; write for example "300ms", "5s", "1m30s" or "24h"',
    "f:1:1: inner = (hidden): not a group of settings; write inner { … }",
    "f:1:1: extra.name: is missing",
    'f:1:1: rule.nam: unknown setting; did you mean "name"?',
  ]);
});

Deno.test("group() hides values of secrets", () => {
  deepStrictEqual(problems({ inner: { secret_key: 12345 } }), [
    "f:1:1: inner.secret_key = (hidden): not text; write text in double quotes",
  ]);
  // What stands where the group should be may be the secret itself.
  deepStrictEqual(problems({ inner: "hunter2" }), [
    "f:1:1: inner = (hidden): not a group of settings; write inner { … }",
  ]);
});

Deno.test("group() checks settings against each other where they were given", () => {
  deepStrictEqual(problems({ max_items: 7 }), ["f:1:1: max_items = 7: seven is taken"]);
});

Deno.test("group() knows no names that every JavaScript object has", () => {
  deepStrictEqual(problems({ constructor: 1 }).map((text) => text.split(";")[0]), [
    "f:1:1: constructor: unknown setting",
  ]);
});

Deno.test("later() lists a setting that is not the default, once, and nothing otherwise", () => {
  deepStrictEqual(loadPlain(table, { future: { year: 1985 } }).notYet, [
    "future is set, but time travel comes in a later version",
  ]);
  deepStrictEqual(loadPlain(table, { future: {} }).notYet, []);
  deepStrictEqual(loadPlain(table, {}).notYet, []);
});

const entry = (key: string, value: Node, line = 1): Entry => ({ key, value: { ...value, line }, line, column: 1 });
const body = (...entries: Entry[]): ObjectNode => ({ type: "object", entries, line: 1, column: 1 });
const label = (name: string, value: Node, line: number): Node => ({ ...body(entry(name, value, line)), labels: true });

function loadRoot(...entries: Entry[]) {
  return load(table, sources({ path: "f", parse: () => ({ root: body(...entries), unset: [] }) })).value;
}

Deno.test("group() joins blocks with different labels and refuses the same label twice", () => {
  const one = (line: number) => entry("kind", label("one", node({ name: "1" }), line), line);
  const two = entry("kind", label("two", node({ name: "2" }), 2), 2);
  deepStrictEqual(loadRoot(one(1), two).kind, { one: { name: "1" }, two: { name: "2" } });
  throws(() => loadRoot(one(1), two, one(3)), { message: "f:3:1: kind.one: given twice; the first is in line 1" });
});

Deno.test("group() refuses a block or setting that is given twice", () => {
  const items = (line: number) => entry("max_items", node(1), line);
  throws(() => loadRoot(items(1), items(2)), { message: "f:2:1: max_items: given twice; the first is in line 1" });
});

Deno.test("blocks() takes repeated blocks, one block and a list alike", () => {
  const rule = (name: string) => entry("rule", node({ name }));
  deepStrictEqual(loadRoot(rule("a"), rule("b")).rule, [{ name: "a" }, { name: "b" }]);
  deepStrictEqual(loadRoot(rule("a")).rule, [{ name: "a" }]);
  deepStrictEqual(loadRoot(entry("rule", node([{ name: "a" }]))).rule, [{ name: "a" }]);
});

Deno.test("labelled() says how its blocks are written", () => {
  throws(() => loadRoot(entry("kind", node({ name: "x" }))), {
    message: 'f:1:1: kind.name: unknown setting; known here: kind "one" { … } and kind "two" { … }',
  });
  throws(() => loadRoot(entry("kind", label("onne", node({}), 1))), {
    message: 'f:1:1: kind.onne: unknown label; did you mean kind "one" { … }?',
  });
  throws(() => loadRoot(entry("inner", label("x", node({}), 1))), {
    message: "f:1:1: inner.x: unknown label; inner { … } has no label",
  });
});

Deno.test("shorthand takes a single value for the group", () => {
  const short = group("", { out: optional(group("", { format: text("a", "") }, { shorthand: "format" })) });
  deepStrictEqual(loadPlain(short, { out: "b" }).value, loadPlain(short, { out: { format: "b" } }).value);
  strictEqual(loadPlain(short, { out: {} }).value.out?.format, "a");
});
