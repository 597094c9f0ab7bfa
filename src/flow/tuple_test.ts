import assert from "node:assert/strict";
import { Tuple } from "./tuple.ts";
import { tupleOf } from "./testing.ts";

const hex = (bytes: Uint8Array) => bytes.toHex();

Deno.test("Tuple.load() lays out the canonical form", async (t) => {
  const cases = [
    {
      name: "IPv4, already in order",
      tuple: tupleOf("10.0.0.1", "10.0.0.2", 6, 0x1234, 80),
      bytes: "0a000001" + "0a000002" + "0600" + "1234" + "0050",
    },
    {
      name: "IPv4, the other way round",
      tuple: tupleOf("10.0.0.2", "10.0.0.1", 6, 80, 0x1234),
      bytes: "0a000001" + "0a000002" + "0600" + "1234" + "0050",
    },
    {
      name: "equal addresses, ordered by port",
      tuple: tupleOf("127.0.0.1", "127.0.0.1", 17, 40000, 53),
      bytes: "7f000001" + "7f000001" + "1100" + "0035" + "9c40",
    },
    {
      name: "bytes compare unsigned",
      tuple: tupleOf("200.0.0.1", "100.0.0.1", 17, 1, 2),
      bytes: "64000001" + "c8000001" + "1100" + "0002" + "0001",
    },
    {
      name: "IPv6",
      tuple: tupleOf("fe80::1", "2001:db8::2", 132, 7, 8),
      bytes: "20010db8000000000000000000000002" + "fe800000000000000000000000000001" + "8400" + "0008" + "0007",
    },
    {
      name: "echo request, code replaced by the reply type",
      tuple: tupleOf("10.0.0.2", "10.0.0.1", 1, 8, 0),
      bytes: "0a000001" + "0a000002" + "0100" + "0000" + "0008",
    },
    {
      name: "echo request of ICMPv6, whose reply type is no code",
      tuple: tupleOf("2001:db8::1", "2001:db8::2", 58, 128, 0),
      bytes: "20010db8000000000000000000000001" + "20010db8000000000000000000000002" + "3a00" + "0080" + "0081",
    },
    {
      name: "one-way ICMP keeps its sender first",
      tuple: tupleOf("10.0.0.2", "10.0.0.1", 1, 3, 1),
      bytes: "0a000002" + "0a000001" + "0100" + "0003" + "0001",
    },
  ];
  for (const { name, tuple, bytes } of cases) {
    await t.step(name, () => {
      assert.equal(hex(tuple.bytes), bytes);
      assert.equal(hex(tuple.communityBytes), bytes);
    });
  }
});

Deno.test("Tuple.load() keeps ports out of communityBytes where Community ID knows none", () => {
  assert.equal(hex(tupleOf("10.0.0.1", "10.0.0.2", 136, 5, 6).bytes), "0a0000010a000002" + "8800" + "00050006");
  assert.equal(hex(tupleOf("10.0.0.1", "10.0.0.2", 136, 5, 6).communityBytes), "0a0000010a000002" + "8800");
  assert.equal(tupleOf("::1", "::2", 47).communityBytes.length, 34);
});

Deno.test("Tuple.load() takes the ports of a canonical ICMP key for type and code of the packet", () => {
  const packet = tupleOf("10.0.0.2", "10.0.0.1", 1, 8, 0);
  const key = tupleOf("10.0.0.1", "10.0.0.2", 1, 0, 8);
  assert.equal(hex(packet.bytes), hex(key.bytes));
});

Deno.test("Tuple.load() leaves nothing of the flow before", () => {
  const tuple = new Tuple();
  const buffer = Uint8Array.from([...Array(32).fill(255), 10, 0, 0, 1, 10, 0, 0, 2]);
  tuple.load(buffer, 0, 16, 16, 17, 0xffff, 0xffff);
  tuple.load(buffer, 32, 36, 4, 6, 1, 2);
  assert.equal(hex(tuple.bytes), hex(tupleOf("10.0.0.1", "10.0.0.2", 6, 1, 2).bytes));
});
