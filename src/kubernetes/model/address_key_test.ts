import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { addressKey, keysOf, placesOf } from "./address_key.ts";

Deno.test("addressKey() is a number of an IPv4 address, one for each text", () => {
  const cases: [string, number | string][] = [
    ["0.0.0.0", 0],
    ["10.0.0.1", 0x0a000001],
    ["127.255.255.255", 0x7fffffff],
    ["255.255.255.255", -1],
    ["192.168.1.20", 0xc0a80114 | 0],
    ...[
      "",
      "1",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.",
      ".1.2.3",
      "1..2.3",
      "256.1.1.1",
      "01.2.3.4",
      "1.2.3.00",
      "1.2.3.4/8",
      "a.b.c.d",
    ]
      .map((text): [string, string] => [text, text]),
    ...["fd00::1", "::ffff:10.0.0.1"].map((text): [string, string] => [text, text]),
  ];
  for (const [text, key] of cases) strictEqual(addressKey(text), key, text);
});

Deno.test("keysOf() gives back what placesOf() keeps", () => {
  for (const keys of [[], [1], ["fd00::1"], [1, "fd00::1", 2]]) {
    deepStrictEqual([...keysOf(placesOf(new Set(keys)))], keys);
  }
});
