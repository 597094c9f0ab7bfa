import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { ConfigError } from "../config/mod.ts";
import { sources } from "../config/testing.ts";
import { loadConfig, type LoadedConfig } from "../settings.ts";
import { answer } from "./answer.ts";
import { HELP, parseArguments } from "./arguments.ts";

const good = () => loadConfig(sources());
const bad = () => {
  throw new ConfigError(["a.hcl:1:1: x"]);
};

function run(args: string[], load: () => LoadedConfig) {
  let out = "";
  const print = (text: string) => void (out += text);
  const code = answer(parseArguments(args, () => undefined), { load, version: "1.2.3", print, error: print });
  return { code, out };
}

Deno.test("answer() does what needs no kernel, and reads a configuration for validate only", () => {
  deepStrictEqual(run(["help"], bad), { code: 0, out: HELP });
  deepStrictEqual(run(["--version"], bad), { code: 0, out: "mermin 1.2.3\n" });
  deepStrictEqual(run(["validate", "a.hcl"], good), { code: 0, out: "a.hcl: can be used\n" });
  throws(() => run(["validate", "a.hcl"], bad), { name: "ConfigError" });
  throws(() => run(["validate"], good), { name: "UsageError" });
});

Deno.test("answer() leaves the other commands to others", () => {
  for (const args of [[], ["cleanup"], ["permissions"]]) strictEqual(run(args, bad).code, undefined);
});
