import assert from "node:assert/strict";
import { isIPv6 } from "node:net";
import { addressText, ipv4Text, ipv6Text } from "./address.ts";
import { addressBytes } from "./testing.ts";

Deno.test("ipv6Text() writes the canonical form of RFC 5952", () => {
  const canonical = [
    "::",
    "::1",
    "1::",
    "2001:db8::1",
    "2001:db8:0:1:1:1:1:1", // one zero group is not shortened (4.2.2)
    "2001:0:0:1::1", // the longest run (4.2.3)
    "2001:db8::1:0:0:1", // of equal runs the first (4.2.3)
    "fe80::1ff:fe23:4567:890a",
    "::2:3:4:5:6:7",
    "1:2:3:4:5:6::",
    "1:2:3:4:5:6:7:8",
    "0:1::",
    "abcd:ef01:2345:6789:abcd:ef01:2345:6789",
    "a:b0:c00:d000::",
    "64:ff9b::c000:201", // only the IPv4-mapped prefix is dotted
    "::ffff:0:0:1",
  ];
  for (const text of canonical) assert.equal(ipv6Text(addressBytes(text), 0), text);
});

Deno.test("ipv6Text() writes IPv4-mapped addresses with a dotted tail", () => {
  assert.equal(ipv6Text(addressBytes("::ffff:c000:201"), 0), "::ffff:192.0.2.1");
  assert.equal(ipv6Text(addressBytes("::ffff:0:0"), 0), "::ffff:0.0.0.0");
});

Deno.test("ipv6Text() agrees with the URL parser on random addresses with many zeros", () => {
  const bytes = new Uint8Array(19);
  for (let round = 0; round < 5000; round++) {
    crypto.getRandomValues(bytes);
    const mask = bytes[0] << 8 | bytes[1];
    // Zero groups and zero half groups are what the rules are about.
    for (let i = 0; i < 16; i++) if (mask >> (i >> 1) & 1 || (bytes[2] >> (i & 7) & 1)) bytes[3 + i] = 0;
    const text = ipv6Text(bytes, 3);
    assert.ok(isIPv6(text), text);
    const hostname = new URL(`http://[${text}]`).hostname;
    assert.deepEqual(addressBytes(text), bytes.slice(3), text);
    if (!text.includes(".")) assert.equal(`[${text}]`, hostname);
  }
});

Deno.test("ipv4Text() writes four decimal bytes from an offset", () => {
  assert.equal(ipv4Text(Uint8Array.of(9, 0, 255, 10, 100, 9), 1), "0.255.10.100");
});

Deno.test("addressText() chooses the form by length", () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
  assert.equal(addressText(bytes, 0, 4), "0.1.2.3");
  assert.equal(addressText(bytes, 0, 16), "1:203:405:607:809:a0b:c0d:e0f");
});
