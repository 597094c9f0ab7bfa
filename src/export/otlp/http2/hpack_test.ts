import { deepEqual, throws } from "node:assert/strict";
import { HeaderDecoder } from "./hpack.ts";

const MALFORMED: [name: string, block: string, error: RegExp][] = [
  ["an index of nothing", "80", /not there/],
  ["an index beyond the table", "be", /not there/],
  ["an endless number", "ffffffffffffffff", /too large/],
  ["a block that ends in a number", "ff", /within a number/],
  ["a block that ends in a text", "000361", /within its text/],
  ["a table that is too large", "3fe21f", /larger/],
  ["a code that ends with zeros", "008100" + "00", /within a code/],
  ["the end of a string in a code", "0084ffffffff" + "00", /end within/],
];

for (const [name, block, error] of MALFORMED) {
  Deno.test(`HeaderDecoder.decode() refuses ${name}`, () => {
    throws(() => new HeaderDecoder().decode(Uint8Array.fromHex(block)), error);
  });
}

Deno.test("HeaderDecoder.decode() remembers fields, newest first, and forgets the oldest when they need more room", () => {
  const decoder = new HeaderDecoder();
  const hex = (text: string) => new TextEncoder().encode(text).toHex();
  const literal = (name: string, value: string) =>
    "40" + hex(String.fromCharCode(name.length)) + hex(name) + hex(String.fromCharCode(value.length)) + hex(value);
  const decode = (block: string) => decoder.decode(Uint8Array.fromHex(block));
  decode(literal("a", "1") + literal("b", "2"));
  deepEqual(decode("bebf"), [["b", "2"], ["a", "1"]]);
  // Room for one field of two letters: 34 bytes.
  deepEqual(decode("3f03" + "be"), [["b", "2"]]);
  throws(() => decode("bf"), /not there/);
});
