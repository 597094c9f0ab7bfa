import { equal } from "node:assert/strict";
import { addressBytes } from "../flow/testing.ts";
import { isInRange, parseAddressRange } from "./address_range.ts";

function contains(range: string, address: string): boolean {
  const bytes = addressBytes(address);
  const buffer = Uint8Array.from([9, ...bytes, 9]);
  return isInRange(parseAddressRange(range), buffer, 1, bytes.length);
}

const CASES: [range: string, inside: string[], outside: string[]][] = [
  ["10.0.0.1", ["10.0.0.1"], ["10.0.0.2", "::a00:1", "::ffff:10.0.0.1"]],
  ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]],
  ["10.1.2.3/9", ["10.0.0.0", "10.127.255.255"], ["10.128.0.0"]],
  ["192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127", "192.0.3.128"]],
  ["192.0.2.4/31", ["192.0.2.4", "192.0.2.5"], ["192.0.2.3", "192.0.2.6"]],
  ["0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::", "fd00::1"]],
  ["::/0", ["::", "fd00::1", "::ffff:10.0.0.1"], ["10.0.0.1"]],
  ["fd00::/8", ["fd00::", "fdff::1"], ["fc00::", "fe00::"]],
  ["2001:db8:0:8000::/49", ["2001:db8:0:8000::", "2001:db8:0:ffff::1"], ["2001:db8:0:7fff::"]],
  ["FD00:0:0::1", ["fd00::1"], ["fd00::2"]],
  ["::ffff:10.0.0.0/104", ["::ffff:10.9.9.9"], ["::ffff:11.0.0.0", "10.0.0.0"]],
];

for (const [range, inside, outside] of CASES) {
  Deno.test(`isInRange() knows where ${range} begins and ends`, () => {
    for (const address of inside) equal(contains(range, address), true, address);
    for (const address of outside) equal(contains(range, address), false, address);
  });
}
