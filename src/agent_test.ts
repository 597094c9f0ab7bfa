import assert from "node:assert/strict";
import { namespacePath } from "./agent.ts";

Deno.test("namespacePath() knows the names of namespaces, and takes anything else for a file", () => {
  for (
    const [setting, path] of [
      ["auto", ""],
      ["self", ""],
      ["host", "/proc/1/ns/net"],
      ["/run/netns/blue", "/run/netns/blue"],
    ]
  ) assert.equal(namespacePath(setting), path);
});
