import { strictEqual } from "node:assert/strict";
import { checkPattern } from "./config.ts";

Deno.test("checkPattern() accepts names, globs and regular expressions", () => {
  for (
    const pattern of [
      "eth0",
      "veth*",
      "en?0",
      "cilium_*",
      "ovn-k8s*",
      "/^eth[0-9]+$/",
      "/a\\/b/",
      `/${"a".repeat(256)}/`,
    ]
  ) {
    strictEqual(checkPattern(pattern), undefined, pattern);
  }
});

Deno.test("checkPattern() says what is wrong with the rest", () => {
  const cases: [string, string][] = [
    ["", "empty"],
    ["/", "a slash at both ends"],
    ["//", "a slash at both ends"],
    ["/eth", "a slash at both ends"],
    ["eth/", "no interface has a space or a slash"],
    ["eth 0", "no interface has a space or a slash"],
    ["/(/", "not a regular expression"],
    [`/${"a".repeat(257)}/`, "more than 256 characters"],
  ];
  for (const [pattern, expected] of cases) {
    strictEqual(checkPattern(pattern)?.includes(expected), true, `${pattern}: ${checkPattern(pattern)}`);
  }
});
