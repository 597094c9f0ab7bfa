import { deepStrictEqual, rejects } from "node:assert/strict";
import { takeItems } from "./list_body.ts";

async function* inPieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let i = 0; i < bytes.length; i += size) yield await Promise.resolve(bytes.slice(i, i + size));
}

const LISTS: Record<string, unknown> = {
  "no items": { metadata: { resourceVersion: "7" }, items: [] },
  "items null": { metadata: {}, items: null },
  "nothing": {},
  "items": { kind: "PodList", metadata: { continue: "x" }, items: [{ a: 1 }, { a: { items: [{ b: [] }] } }] },
  "metadata last": { items: [{ a: [[], [{}]] }], metadata: { resourceVersion: "7" } },
  "other lists, and items elsewhere": { columns: [{ a: 1 }], metadata: { items: [{ a: 1 }] }, items: [{ b: 2 }] },
  "U+FEFF, which is a byte order mark at the beginning of a text only": {
    metadata: { continue: "a\uFEFF\uFEFFb" },
    items: [{ a: "a\uFEFF\uFEFFb\uFEFF" }],
  },
  "texts with brackets, quotes and backslashes": { items: [{ a: '}]"\\', 'b"[{': "\\\\" }, { 'items":[': "ä€😀" }] },
};

for (const [name, list] of Object.entries(LISTS)) {
  Deno.test(`takeItems() takes a list apart wherever it is cut: ${name}`, async () => {
    const { items, ...rest } = list as { items?: unknown[] };
    for (const text of [JSON.stringify(list), JSON.stringify(list, null, 2)]) {
      for (let size = 1; size < 12; size++) {
        const taken: unknown[] = [];
        const { items: left, ...others } = await takeItems(inPieces(text, size), (item) => taken.push(item));
        deepStrictEqual(taken, items ?? []);
        deepStrictEqual(others, rest);
        deepStrictEqual(left, items ? [] : items);
      }
    }
  });
}

Deno.test("takeItems() refuses what is cut off or no JSON", async () => {
  const whole = JSON.stringify({ metadata: {}, items: [{ a: 1 }, { a: 2 }] });
  for (const text of ["", "<html>", whole.slice(0, -1), whole.slice(0, -5), '{"items":[{"a":1},{"a"}]}']) {
    await rejects(takeItems(inPieces(text, 5), () => {}), SyntaxError, text);
  }
});
