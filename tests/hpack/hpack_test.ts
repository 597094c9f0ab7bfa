/** Compares our compression of headers with that of PyPI's `hpack`, on random fields. */

import assert from "node:assert/strict";
import { encodeHeaders, HeaderDecoder, type HeaderField, NO_TABLE } from "../../src/export/otlp/http2/hpack.ts";

const BLOCKS = 300;
const JUDGE = new URL("judge.py", import.meta.url).pathname;
/** The task that runs this test sets PYTHONPATH. */
const PYTHON = "python3";
const NAMES = [":status", "content-type", "grpc-status", "grpc-message", "date", "server", "x-a", "x-b"];

async function judge(lines: string[], ...args: string[]): Promise<string[]> {
  const child = new Deno.Command(PYTHON, { args: [JUDGE, ...args], stdin: "piped", stdout: "piped" }).spawn();
  const written = ReadableStream.from([new TextEncoder().encode(lines.join("\n"))]).pipeTo(child.stdin);
  const [{ success, stdout }] = await Promise.all([child.output(), written]);
  assert.ok(success);
  return new TextDecoder().decode(stdout).trimEnd().split("\n");
}

const random = (below: number) => Math.floor(Math.random() * below);
/** Of all characters that the Huffman code has short and long codes for. */
const text = () => String.fromCharCode(...Array.from({ length: random(60) }, () => 32 + random(95)));

function randomFields(): HeaderField[] {
  return Array.from({ length: 1 + random(8) }, () => {
    const value = random(3) === 0 ? text() : String(random(20));
    return [NAMES[random(NAMES.length)], value];
  });
}

Deno.test("HeaderDecoder.decode() reads what another implementation writes, block after block", async () => {
  const lists: (HeaderField[] | { resize: number })[] = Array.from({ length: BLOCKS }, randomFields);
  // The peer's table grows and shrinks, which must drop the same fields at both ends.
  for (const [at, resize] of [[50, 300], [100, 0], [150, 4096]]) lists.splice(at, 0, { resize });
  const blocks = await judge(lists.map((list) => JSON.stringify(list)));
  const decoder = new HeaderDecoder();
  const decoded = blocks.map((block) => decoder.decode(Uint8Array.fromHex(block)));
  assert.deepEqual(decoded, lists.filter(Array.isArray));
});

for (const maxTableBytes of [4096, 100, 0]) {
  Deno.test(`encodeHeaders() writes what an implementation reads that allows a table of ${maxTableBytes} bytes`, async () => {
    const lists = Array.from(
      { length: BLOCKS },
      (_, i): HeaderField[] => [...randomFields(), ["x-long", "v".repeat(i * 5)]],
    );
    const [first, ...blocks] = lists.map((list) => encodeHeaders(list).toHex());
    const decoded = await judge([NO_TABLE.toHex() + first, ...blocks], "decode", String(maxTableBytes));
    assert.deepEqual(decoded.map((line) => JSON.parse(line)), lists);
  });
}
