import assert from "node:assert/strict";
import { brokenRules } from "./boundaries.ts";

const cases = [
  { name: "allows dlopen in its place", path: "src/capture/ffi_loader.ts", source: "Deno.dlopen(path, {})", broken: 0 },
  { name: "finds dlopen elsewhere", path: "src/agent.ts", source: "Deno.dlopen(path, {})", broken: 1 },
  { name: "allows main to exit", path: "src/main.ts", source: "Deno.exit(await main())", broken: 0 },
  { name: "finds an exit elsewhere", path: "src/cli/run.ts", source: "if (bad) Deno.exit(1);", broken: 1 },
  { name: "ignores block comments", path: "src/agent.ts", source: "/** Never\n * calls Deno.exit. */", broken: 0 },
  { name: "ignores line comments", path: "src/agent.ts", source: "run(); // Deno.exit would lose spans", broken: 0 },
  { name: "reads past a URL in a string", path: "src/agent.ts", source: 'get("http://x"); Deno.exit(1);', broken: 1 },
  { name: "allows flow its own files", path: "src/flow/span.ts", source: 'import { a } from "./a.ts";', broken: 0 },
  { name: "allows flow its folders", path: "src/flow/tcp/a.ts", source: 'import { b } from "../b.ts";', broken: 0 },
  { name: "finds an import out of flow", path: "src/flow/a.ts", source: 'import {\n  b,\n} from "../c";', broken: 1 },
  { name: "finds a package in flow", path: "src/flow/a.ts", source: 'import "npm:x@1";', broken: 1 },
  { name: "allows flow a hash", path: "src/flow/a.ts", source: 'import { b } from "@noble/hashes/c.js";', broken: 0 },
  { name: "allows a table of settings anything", path: "src/flow/config.ts", source: 'import "../c.ts";', broken: 0 },
  { name: "finds a dynamic import in filter", path: "src/filter/a.ts", source: 'await import("node:fs")', broken: 1 },
  { name: "allows filter to know flows", path: "src/filter/a.ts", source: 'import "../flow/b.ts";', broken: 0 },
  { name: "finds filter in flow", path: "src/flow/a.ts", source: 'import "../filter/b.ts";', broken: 1 },
  { name: "finds a re-export out of flow", path: "src/flow/a.ts", source: 'export { c } from "../c.ts";', broken: 1 },
  { name: "allows a test in flow anything", path: "src/flow/a_test.ts", source: 'import "node:assert";', broken: 0 },
  { name: "leaves other folders alone", path: "src/export/a.ts", source: 'import { b } from "../log.ts";', broken: 0 },
];
for (const { name, path, source, broken } of cases) {
  Deno.test(`brokenRules() ${name}`, () => {
    const found = brokenRules(path, source);
    assert.equal(found.length, broken, found.join("\n"));
    for (const rule of found) assert.match(rule, new RegExp(`^${path}: `));
  });
}
