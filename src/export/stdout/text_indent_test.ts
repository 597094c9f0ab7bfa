import { deepEqual, equal } from "node:assert/strict";
import { ABSENT } from "../../flow/span.ts";
import { attributesOf, flowSpan } from "../testing.ts";
import { IndentedTextFormatter } from "./text_indent.ts";

Deno.test("IndentedTextFormatter.flow() writes all attributes below each other, aligned", () => {
  const span = flowSpan();
  const [head, ...lines] = new IndentedTextFormatter(false).flow(span).trimEnd().split("\n");
  equal(head, "22:13:21.323  flow_ipv4_tcp  10.0.0.1:51234 → 10.0.0.2:443");
  const cells = lines.map((line) => /^ {4}(\S+)( +)(.*)$/.exec(line)!.slice(1));
  deepEqual(new Set(cells.map(([name, gap]) => name.length + gap.length)).size, 1);
  const shown = Object.fromEntries(cells.map(([name, , value]) => [name, value]));
  deepEqual(shown, {
    "kind": "client",
    "trace.id": "0102030405060708090a0b0c0d0e0f10",
    "span.id": "f0f1f2f3f4f5f6f7",
    "start": "22:13:20.123 UTC",
    "end": "22:13:21.323 UTC",
    ...Object.fromEntries(
      Object.entries(attributesOf(span)).map(([name, value]) => [name, [value].flat().join(", ")]),
    ),
  });
});

Deno.test("IndentedTextFormatter.flow() leaves out what is not known, and no control character through", () => {
  const span = flowSpan({ sourcePort: ABSENT, reverseInterfaceName: "", interfaceName: "e\x1b[2J" });
  const text = new IndentedTextFormatter(false).flow(span);
  equal(text.includes("source.port") || text.includes("flow.reverse.interface.name"), false);
  equal(text.includes("  e?[2J\n"), true);
});

Deno.test("IndentedTextFormatter.flow() colours the head and the names", () => {
  const text = new IndentedTextFormatter(true).flow(flowSpan());
  equal(text.startsWith("\x1b[1m22:13:21.323"), true);
  equal(text.split("\x1b[2m").length - 1, 5 + Object.keys(attributesOf(flowSpan())).length);
});
