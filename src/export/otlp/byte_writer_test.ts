import { equal } from "node:assert/strict";
import { ByteWriter } from "./byte_writer.ts";

const written = (write: (writer: ByteWriter) => void) => {
  const writer = new ByteWriter(1);
  writer.text("<");
  write(writer);
  return new TextDecoder("utf-8", { fatal: true }).decode(writer.view()).slice(1);
};

for (const text of ["", "plain", 'a "b"', "back\\slash", "\u0000\n\u007f", "é→😀", "\ud800", "x".repeat(300)]) {
  Deno.test(`ByteWriter.json() writes ${JSON.stringify(text.slice(0, 20))} as JSON.stringify does`, () => {
    equal(written((writer) => writer.json(text)), JSON.stringify(text));
  });
}

for (const value of [0, 9, 10, 99, 100, 65_535, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1]) {
  Deno.test(`ByteWriter.decimal() writes ${value}`, () => {
    equal(written((writer) => writer.decimal(value)), String(value));
  });
}

Deno.test("ByteWriter.hex() writes every byte as two digits", () => {
  const bytes = new Uint8Array(256).map((_, i) => i);
  equal(written((writer) => writer.hex(bytes)), bytes.toHex());
});

Deno.test("ByteWriter.text() writes UTF-8", () => {
  equal(written((writer) => writer.text("a→😀")), "a→😀");
});
