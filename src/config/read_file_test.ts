import { ok, throws } from "node:assert/strict";
import { readConfigFile } from "./read_file.ts";

Deno.test("readConfigFile() reads a file", () => {
  ok(readConfigFile("tests/config/guide/config.hcl").includes("otel-collector"));
});

Deno.test("readConfigFile() says in a few words why it cannot", () => {
  const cases: [path: string, message: string][] = [
    ["tests/config/nothing.hcl", "there is no such file"],
    ["tests/config", "it must be a regular file, because it is read twice"],
    ["/dev/fd/63", "it must be a regular file, because it is read twice"],
    ["/proc/self/fd/0", "it must be a regular file, because it is read twice"],
    ["/dev/stdin", "it must be a regular file, because it is read twice"],
  ];
  for (const [path, message] of cases) throws(() => readConfigFile(path), { message }, path);
});
