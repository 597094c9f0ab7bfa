import { deepEqual, equal } from "node:assert/strict";
import { attributesOf, flowSpan, randomFlowSpan, seededRandom } from "../testing.ts";
import { JsonFormatter } from "./json.ts";

const RESOURCE = { "host.name": 'a "b"', "host.ip": ["10.0.0.1"], "host.cpu.count": 2 };

Deno.test("JsonFormatter.flow() writes one object in one line, with the names of OTLP and all attributes", () => {
  const span = flowSpan();
  const line = new JsonFormatter(RESOURCE, false).flow(span);
  equal(line.indexOf("\n"), line.length - 1);
  deepEqual(JSON.parse(line), {
    traceId: "0102030405060708090a0b0c0d0e0f10",
    spanId: "f0f1f2f3f4f5f6f7",
    name: "flow_ipv4_tcp",
    kind: "SPAN_KIND_CLIENT",
    startTimeUnixNano: "1700000000123456789",
    endTimeUnixNano: "1700000001323456789",
    attributes: attributesOf(span),
    resource: RESOURCE,
  });
});

Deno.test("JsonFormatter.flow() writes what JSON.stringify would, in a line or indented, for any flow", () => {
  const random = seededRandom(20261125);
  const [line, indented] = [false, true].map((isIndented) => new JsonFormatter(RESOURCE, isIndented));
  for (let round = 0; round < 100; round++) {
    const span = randomFlowSpan(random);
    const object = JSON.parse(line.flow(span));
    deepEqual(object.attributes, attributesOf(span));
    equal(line.flow(span), JSON.stringify(object) + "\n");
    deepEqual(JSON.parse(indented.flow(span)), object);
  }
});

Deno.test("JsonFormatter.flow() indents members by two spaces", () => {
  const lines = new JsonFormatter({ a: "b" }, true).flow(flowSpan()).split("\n");
  deepEqual([lines[0], lines[1], lines.at(-2), lines.at(-1)], [
    "{",
    '  "traceId": "0102030405060708090a0b0c0d0e0f10",',
    "}",
    "",
  ]);
  deepEqual(lines.slice(-5, -2), ['  "resource": {', '    "a": "b"', "  }"]);
});
