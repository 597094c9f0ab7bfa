import { deepEqual, equal, throws } from "node:assert/strict";
import { protobufFields, ProtobufWriter, varintLength } from "./protobuf.ts";

const encoded = (write: (writer: ProtobufWriter) => void) => {
  const writer = new ProtobufWriter(1);
  write(writer);
  return writer.view().toHex();
};

const VARINTS: [value: number, hex: string][] = [
  [0, "00"],
  [1, "01"],
  [127, "7f"],
  [128, "8001"],
  [300, "ac02"],
  [2 ** 31 - 1, "ffffffff07"],
  [2 ** 31, "8080808008"],
  [2 ** 32, "8080808010"],
  [2 ** 53 - 1, "ffffffffffffff0f"],
];

for (const [value, hex] of VARINTS) {
  Deno.test(`ProtobufWriter.varint() writes ${value} as ${hex}`, () => {
    equal(encoded((writer) => writer.varint(0x08, value)), `08${hex}`);
    equal(varintLength(value), hex.length / 2);
  });
}

for (const [length, hex] of [[0, "00"], [127, "7f"], [128, "8001"], [16_384, "808001"]] as const) {
  Deno.test(`ProtobufWriter.string() writes a length of ${length} as ${hex}`, () => {
    equal(encoded((writer) => writer.string(0x0a, "x".repeat(length))), `0a${hex}${"78".repeat(length)}`);
  });
}

for (const [text, hex] of [["é", "02c3a9"], ["a→", "0461e28692"], ["😀", "04f09f9880"], ["\ud800", "03efbfbd"]]) {
  Deno.test(`ProtobufWriter.string() writes ${JSON.stringify(text)} as UTF-8`, () => {
    equal(encoded((writer) => writer.string(0x0a, text)), `0a${hex}`);
  });
}

for (const [length, guess] of [[3, 1], [3, 2], [130, 1], [130, 2], [20_000, 1], [20_000, 2]]) {
  Deno.test(`ProtobufWriter.end() writes the shortest length for ${length} bytes guessed at ${guess}`, () => {
    const content = new Uint8Array(length).map((_, i) => i);
    const bytes = encoded((writer) => {
      const mark = writer.begin(0x0a, guess);
      writer.raw(content);
      writer.end(mark, guess);
      writer.varint(0x10, 7);
    });
    const size = encoded((writer) => writer.varint(0x0a, length));
    equal(bytes, `${size}${content.toHex()}1007`);
  });
}

Deno.test("ProtobufWriter.fixed64() writes little-endian halves", () => {
  equal(encoded((writer) => writer.fixed64(0x39, 0xfedcba98, 0x76543210)), "3998badcfe10325476");
});

Deno.test("ProtobufWriter.reset() keeps the buffer for the next message", () => {
  const writer = new ProtobufWriter(4);
  writer.string(0x0a, "x".repeat(100));
  const capacityBytes = writer.capacityBytes;
  writer.reset();
  writer.varint(0x08, 5);
  equal(writer.view().toHex(), "0805");
  equal(writer.capacityBytes, capacityBytes);
});

Deno.test("protobufFields() reads every wire type and skips none", () => {
  const bytes = Uint8Array.fromHex("08ac02" + "1202c3a9" + "1d01000000" + "210100000000000000" + "a2060141");
  deepEqual(
    [...protobufFields(bytes)].map((field) => [field.number, field.value, field.bytes.toHex()]),
    [[1, 300, ""], [2, 0, "c3a9"], [3, 0, "01000000"], [4, 0, "0100000000000000"], [100, 0, "41"]],
  );
});

for (const hex of ["08", "08ff", "1205aa", "0b", "3901", `08${"ff".repeat(10)}01`]) {
  Deno.test(`protobufFields() refuses ${hex}`, () => {
    throws(() => [...protobufFields(Uint8Array.fromHex(hex))], RangeError);
  });
}
