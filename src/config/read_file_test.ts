import { ok, throws } from "node:assert/strict";
import { readConfigFile } from "./read_file.ts";

Deno.test("readConfigFile() reads a file", () => {
  ok(readConfigFile("tests/config/guide/config.hcl").includes("otel-collector"));
});

Deno.test("readConfigFile() says in a few words why it cannot", () => {
  const cases: [path: string, message: string][] = [
    ["tests/config/nothing.hcl", "there is no such file"],
    ["tests/config", "it is no regular file, and it is read twice; write it to one"],
    ["/dev/fd/63", "it is no regular file, and it is read twice; write it to one"],
    ["/proc/self/fd/0", "it is no regular file, and it is read twice; write it to one"],
    ["/dev/stdin", "it is no regular file, and it is read twice; write it to one"],
  ];
  for (const [path, message] of cases) throws(() => readConfigFile(path), { message }, path);
});
