import { deepStrictEqual } from "node:assert/strict";
import type { Node } from "./document.ts";
import { bool, choice, duration, integer, list, map, number, port, secret, text } from "./kinds.ts";
import { newFindings, Reading } from "./reading.ts";
import type { Setting } from "./setting.ts";
import { node, type Plain } from "./testing.ts";

const computed = (value: string): Node => ({ type: "string", value, computed: true, line: 1, column: 1 });

/** What reading gives, or the text of the first problem. */
function read(setting: Setting<unknown>, value: Plain | Node): unknown {
  const findings = newFindings();
  const isNode = typeof value === "object" && value !== null && "line" in value;
  const result = setting.read(
    isNode ? value as Node : node(value as Plain),
    new Reading("s", findings, setting.secret),
  );
  const [problem] = findings.problems;
  if (problem) deepStrictEqual(result, setting.default, "a wrong value gives the default");
  return problem ? `${problem.subject}: ${problem.text}` : result;
}

const level = choice(["info", "Warn"], "info", "", { synonyms: { warning: "Warn" } });
const even = text("", "", { what: "an even text", check: (value) => value.length % 2 ? "odd" : undefined });

const CASES: [name: string, setting: Setting<unknown>, value: Plain | Node, expected: unknown][] = [
  ["bool()", bool(false, ""), true, true],
  ["bool()", bool(true, ""), computed("FALSE"), false],
  ["bool()", bool(false, ""), computed("1"), true],
  ["bool()", bool(false, ""), computed("yes"), 's = "yes": not a switch; write true or false'],
  ["bool()", bool(false, ""), "true", 's = "true": not a switch; write true or false, without quotes'],
  ["bool()", bool(true, ""), 1, "s = 1: not a switch; write true or false"],
  ["integer()", integer(1, "", { min: 0, max: 9 }), 9, 9],
  ["integer()", integer(1, "", { min: -9, max: 9 }), computed("-9"), -9],
  ["integer()", integer(1, "", { min: 0, max: 9 }), 10, "s = 10: out of range; allowed is 0 to 9"],
  ["integer()", integer(1, "", { min: 0, max: 9 }), 1.5, "s = 1.5: not a whole number; write one from 0 to 9"],
  [
    "integer()",
    integer(1, "", { min: 0, max: 9 }),
    "5",
    's = "5": not a whole number; write one from 0 to 9, without quotes',
  ],
  [
    "integer()",
    integer(1, "", { min: 0, max: 9 }),
    computed(""),
    's = "": not a whole number; write one from 0 to 9',
  ],
  ["port()", port(80, ""), 65536, "s = 65536: out of range; allowed is 1 to 65535"],
  ["number()", number(""), 1.5, 1.5],
  ["number()", number(""), "1.5", 's = "1.5": not a number'],
  ["duration()", duration("5s", ""), "1m", 60_000],
  ["duration()", duration("5s", ""), 5, 's = 5: not a duration; write for example "300ms", "5s", "1m30s" or "24h"'],
  ["duration()", duration("5s", ""), "0s", 's = "0s": out of range; allowed is "1ms" to "168h"'],
  ["text()", text("", ""), "x", "x"],
  ["text()", even, "xyz", 's = "xyz": odd'],
  ["text()", even, 5, "s = 5: not text; write an even text in double quotes"],
  [
    "text()",
    text("", ""),
    null,
    "s = null: not text; write text in double quotes; to leave it at its default, remove the line",
  ],
  ["text()", text("", ""), { a: 1 }, "s = { … }: not text; write text in double quotes"],
  ["text()", even, "x".repeat(99), `s = "${"x".repeat(59)}…: odd`],
  ["secret()", secret("", ""), 12345, "s = (hidden): not text; write text in double quotes"],
  ["choice()", level, "INFO", "info"],
  ["choice()", level, "warning", "Warn"],
  ["choice()", level, "inf", 's = "inf": not allowed; write "info" or "Warn" (did you mean "info"?)'],
  ["choice()", level, true, 's = true: not allowed; write "info" or "Warn"'],
  ["list()", list(text("", ""), ["a"], ""), [], []],
  ["list()", list(text("", ""), ["a"], "", { emptyIsDefault: true }), [], ["a"]],
  ["list()", list(text("", ""), [], ""), ["b", "c"], ["b", "c"]],
  ["list()", list(text("", ""), [], ""), "b", 's = "b": not a list; write it in brackets: [ … ]'],
  ["map()", map(text("", ""), ""), { a: "b" }, { a: "b" }],
  ["map()", map(text("", ""), ""), ["a"], 's = ["a"]: not a map; write it in braces: { name = … }'],
];

for (const [index, [name, setting, value, expected]] of CASES.entries()) {
  Deno.test(`${name} reads or refuses its values, case ${index}`, () =>
    deepStrictEqual(read(setting, value), expected));
}

Deno.test("list() and map() report each wrong item by its own path", () => {
  const findings = newFindings();
  list(port(1, ""), [], "").read(node([1, 0, "x"]), new Reading("l", findings));
  map(port(1, ""), "", (key) => key === "bad" ? "no" : undefined).read(node({ bad: 0 }), new Reading("m", findings));
  deepStrictEqual(findings.problems.map(({ subject }) => subject), ["l[1] = 0", 'l[2] = "x"', "m.bad", "m.bad = 0"]);
});

Deno.test("an error node is reported with its own message", () => {
  const error: Node = { type: "error", message: "x is not known here", line: 3, column: 4 };
  for (const setting of [bool(true, ""), port(1, ""), duration("1s", ""), text("", ""), level, list(even, [], "")]) {
    const findings = newFindings();
    setting.read(error, new Reading("s", findings));
    deepStrictEqual(findings.problems, [{
      line: 3,
      column: 4,
      origin: undefined,
      subject: "s",
      text: "x is not known here",
    }]);
  }
});
