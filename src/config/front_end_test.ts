import { deepStrictEqual, throws } from "node:assert/strict";
import { configParser, formatOf } from "./front_end.ts";

Deno.test("formatOf() tells the format by the end of the name", () => {
  const names = ["a.hcl", "a.conf", "json", "a.json", "dir.yaml/a", "A.YAML", "a.b.yml"];
  deepStrictEqual(names.map(formatOf), ["hcl", "hcl", "hcl", "json", "hcl", "yaml", "yaml"]);
});

Deno.test("configParser() hands the format on and puts the file's name in front of what is wrong", () => {
  const asked: [string, number][] = [];
  const parse = configParser((source, format) => {
    asked.push([source, format]);
    return { ok: false, json: '[{"line":2,"column":3,"message":"oh"}]' };
  });
  throws(() => parse("x", "f.yml"), { name: "ConfigError", problems: ["f.yml:2:3: oh"] });
  throws(() => parse("y", "f.json"), { name: "ConfigError" });
  deepStrictEqual(asked, [["x", 1], ["y", 2]]);
  const good = configParser((source) => ({ ok: true, json: JSON.stringify({ root: source, unset: [] }) }));
  deepStrictEqual(good("x", "f"), { root: "x", unset: [] });
});
