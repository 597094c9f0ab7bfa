import assert from "node:assert/strict";
import { readSpans } from "./otlp_json.ts";

function line(value: unknown): string {
  const span = { traceId: "t", spanId: "s", name: "n", startTimeUnixNano: "1", endTimeUnixNano: "2" };
  const spans = [{ ...span, attributes: [{ key: "a", value }] }];
  return JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] }) + "\n";
}

const values: { value: unknown; expected: unknown }[] = [
  { value: { stringValue: "x" }, expected: "x" },
  { value: { intValue: "9007199254740991" }, expected: 9007199254740991 },
  { value: { doubleValue: 0.5 }, expected: 0.5 },
  { value: { boolValue: false }, expected: false },
  { value: { arrayValue: { values: [{ stringValue: "x" }, { intValue: "1" }] } }, expected: ["x", 1] },
  { value: { arrayValue: {} }, expected: [] },
];
for (const { value, expected } of values) {
  Deno.test(`readSpans() reads the attribute ${JSON.stringify(value)}`, () => {
    assert.deepEqual(readSpans(line(value))[0].attributes, { a: expected });
  });
}

Deno.test("readSpans() leaves out a line that is still being written", () => {
  const complete = line({ stringValue: "x" });
  assert.equal(readSpans(complete + complete.slice(0, 20)).length, 1);
});

Deno.test("readSpans() refuses an integer that would lose digits", () => {
  assert.throws(() => readSpans(line({ intValue: "9007199254740993" })), RangeError);
});
