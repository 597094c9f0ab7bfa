import { strictEqual } from "node:assert/strict";
import { checkAddress, checkCidr, checkHttpUrl, checkRange } from "./checks.ts";

const CHECKS: [name: string, check: (value: string) => string | undefined, good: string[], bad: string[]][] = [
  ["checkAddress", checkAddress, ["0.0.0.0", "::", "10.1.2.3", "fe80::1"], [
    "",
    "localhost",
    "1.2.3",
    "1.2.3.4:80",
    "[::]",
  ]],
  [
    "checkHttpUrl",
    checkHttpUrl,
    ["http://localhost:4317", "https://a.b/v1/traces", "http://[::1]:4318", "HTTP://X"],
    [
      "",
      "localhost:4317",
      "grpc://x:1",
      "http://",
      "http://u:p@x",
      "http://u@x",
      "http://x/?a=1",
      "http://x/#a",
      "http://x:99999",
    ],
  ],
  ["checkCidr", checkCidr, ["10.0.0.0/8", "10.0.0.1", "fd00::/8", "::1/128"], [
    "",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "1/2/3",
    "x/8",
  ]],
  ["checkRange(255)", checkRange(255), ["0", "255", "1-64", "7-7"], [
    "",
    "256",
    "64-1",
    "-1",
    "1-",
    "a",
    "1-2-3",
    " 1",
  ]],
];

for (const [name, check, good, bad] of CHECKS) {
  Deno.test(`${name} accepts what fits and says what is wrong with the rest`, () => {
    for (const value of good) strictEqual(check(value), undefined, value);
    for (const value of bad) strictEqual(typeof check(value), "string", value);
  });
}
