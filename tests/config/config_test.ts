/** Every folder beside this file is a case: `mermin validate` of its `config.hcl` prints its `expected.txt`. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { runPermissions } from "../../src/cli/permissions.ts";
import { ConfigError } from "../../src/config/mod.ts";
import { loadConfig } from "../../src/settings.ts";
import { openParser } from "./parser.ts";

const FOLDER = new URL("./", import.meta.url);
const ENV: Record<string, string> = { COLLECTOR: "http://collector:4318", API_PORT: "9090", TOKEN: "do-not-show-me" };

function validate(name: string, parse: ReturnType<typeof openParser>["parse"]): string {
  const env = (variable: string) => ENV[variable];
  const readFile = (path: string) => Deno.readTextFileSync(new URL(`${name}/${path}`, FOLDER));
  let output = "";
  const write = (text: string) => void (output += text);
  runPermissions(["validate", "config.hcl"], {
    load: ({ configPath, flags }) => loadConfig({ path: configPath, readFile, parse, env, flags }),
    env,
    libraryPath: "",
    version: "",
    print: write,
    error: write,
  });
  return output;
}

Deno.test("mermin validate prints what each case expects", async (t) => {
  for (const [name, value] of Object.entries(ENV)) Deno.env.set(name, value);
  using parser = openParser();
  const cases = [...Deno.readDirSync(FOLDER)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  ok(cases.length > 20, "the cases are missing");
  for (const name of cases.toSorted()) {
    await t.step(name, () => {
      const output = validate(name, parser.parse);
      const expected = new URL(`${name}/expected.txt`, FOLDER);
      if (Deno.env.get("UPDATE") === "1") Deno.writeTextFileSync(expected, output);
      strictEqual(output, Deno.readTextFileSync(expected));
      strictEqual(output.includes(ENV.TOKEN), false, "a secret is shown");
    });
  }
});

Deno.test("any damage to the guide's file is either harmless or a ConfigError", () => {
  using parser = openParser();
  const guide = Deno.readTextFileSync(new URL("guide/config.hcl", FOLDER));
  const words = [
    "{}",
    "[]",
    "[{}]",
    "null",
    '""',
    "-1",
    "1e999",
    '"x"',
    "{ a = 1 }",
    "env(1)",
    "constructor",
    "=",
    "}",
    "\n",
  ];
  let state = 1;
  const random = (limit: number) => (state = state * 48271 % 0x7fffffff) % limit; // Lehmer: a failure can be repeated
  for (let round = 0; round < 1000; round++) {
    const tokens = guide.split(/(\s+|"[^"]*"|[[\]{}=,])/);
    for (let change = 0; change <= random(3); change++) {
      const other = random(2) === 0 ? words[random(words.length)] : tokens[random(tokens.length)];
      tokens[random(tokens.length)] = other;
    }
    const source = tokens.join("");
    try {
      loadConfig({ path: "f", readFile: () => source, parse: parser.parse, env: () => undefined, flags: {} });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw new Error(`round ${round}:\n${source}`, { cause: error });
    }
  }
});

Deno.test("the guide's file and its later spelling give the same configuration", () => {
  using parser = openParser();
  const config = (name: string) => {
    const readFile = (path: string) => Deno.readTextFileSync(new URL(path, FOLDER));
    return loadConfig({ path: `${name}/config.hcl`, readFile, parse: parser.parse, env: () => undefined, flags: {} })
      .config;
  };
  deepStrictEqual(config("guide_later_spelling"), config("guide"));
  strictEqual(config("guide").export.otlp?.endpoint, "http://otel-collector:4317");
});
