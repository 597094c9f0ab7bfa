import { deepStrictEqual, throws } from "node:assert/strict";
import { generator } from "../testing.ts";
import { parseEvent } from "./event_text.ts";

const ROUNDS = 5000;
/** What could be taken for an end, or a beginning, of the list. */
const NASTY = ["}]}", "]}", '"', "\\", '}]},"', '"}]}', "}]}\\", ',"managedFields":[', "a", "ü\uFEFF", "}]}}", "}]},"];

// deno-lint-ignore no-explicit-any
const without = (event: any) => {
  const { managedFields: _, ...metadata } = event.object.metadata;
  return { ...event, object: { ...event.object, metadata } };
};

Deno.test("parseEvent() leaves out who set which field, whatever names and values there are", () => {
  const random = generator(1);
  const text = () => Array.from({ length: random(4) }, () => NASTY[random(NASTY.length)]).join("");
  for (let round = 0; round < ROUNDS; round++) {
    const set = {
      [`f:${text()}`]: {},
      [`k:${JSON.stringify({ ip: text() })}`]: { ".": {} },
      [`v:${JSON.stringify(text())}`]: {},
    };
    const managedFields = [{ manager: text(), fieldsV1: { "f:metadata": set } }, { manager: text(), fieldsV1: set }];
    const metadata = { name: "a", annotations: { [text()]: text() }, managedFields };
    const event = { type: "MODIFIED", object: { kind: "Pod", metadata, spec: { [text()]: [[text()]] } } };
    const parsed = parseEvent(JSON.stringify(event));
    deepStrictEqual(without(parsed), without(event));
  }
});

Deno.test("parseEvent() does not parse them, and reads whole what is written otherwise", () => {
  const managedFields = [{ manager: "kubelet", fieldsV1: { 'k:{"ip":"10.0.0.1"}': { ".": {} } } }];
  const whole = { type: "ADDED", object: { metadata: { name: "a", managedFields }, spec: { nodeName: "b" } } };
  deepStrictEqual(parseEvent(JSON.stringify(whole)), without(whole));
  const bare = { type: "ADDED", object: { metadata: { name: "a", managedFields } } };
  deepStrictEqual(parseEvent(JSON.stringify(bare)), without(bare));
  // As no API server writes it: something behind the list, a list without items, white space.
  for (
    const event of [
      { type: "ADDED", object: { metadata: { name: "a", managedFields, uid: "b" }, status: { list: [{}] } } },
      { type: "ADDED", object: { metadata: { name: "a", managedFields: [] }, spec: { list: [{ a: 1 }] }, more: true } },
    ]
  ) deepStrictEqual(without(parseEvent(JSON.stringify(event))), without(event));
  deepStrictEqual(parseEvent(JSON.stringify(whole, undefined, 1)), whole);
  throws(() => parseEvent('{"type":"ADDED","object":{"metadata":{"managedFields":[{"manager":"a"}]}'), SyntaxError);
});
