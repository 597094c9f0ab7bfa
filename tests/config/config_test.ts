/**
 * Every folder beside this file is a case: `mermin validate` of its `config.hcl`, `.yaml` or `.json` prints its
 * `expected.txt`. Where a folder has several, all give the same configuration.
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { kubeconfigIo } from "../../src/kubernetes/testing.ts";
import { runPermissions } from "../../src/cli/permissions.ts";
import { ConfigError } from "../../src/config/mod.ts";
import { loadConfig } from "../../src/settings.ts";
import { openParser } from "./parser.ts";

const FOLDER = new URL("./", import.meta.url);
const ENV: Record<string, string> = { COLLECTOR: "http://collector:4318", API_PORT: "9090", TOKEN: "do-not-show-me" };

type Parse = ReturnType<typeof openParser>["parse"];
const env = (variable: string) => ENV[variable];

/** The files of a case, HCL first. */
function filesOf(name: string): string[] {
  const files = [...Deno.readDirSync(new URL(`${name}/`, FOLDER))].map(({ name }) => name);
  const found = ["config.hcl", "config.yaml", "config.yml", "config.json"].filter((file) => files.includes(file));
  ok(found.length > 0, `${name} has no configuration`);
  return found;
}

function validate(name: string, file: string, parse: Parse): string {
  const readFile = (path: string) => Deno.readTextFileSync(new URL(`${name}/${path}`, FOLDER));
  let output = "";
  const write = (text: string) => void (output += text);
  runPermissions(["validate", file], {
    load: ({ configPath, flags }) => loadConfig({ path: configPath, readFile, parse, env, flags }),
    env,
    kubeconfig: kubeconfigIo(),
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
  ok(cases.filter((name) => /bad_/.test(name)).length >= 60, "the broken ones are missing");
  for (const name of cases.toSorted()) {
    await t.step(name, () => {
      const files = filesOf(name);
      for (const file of files) {
        const output = validate(name, file, parser.parse).replaceAll(file, files[0]);
        const expected = new URL(`${name}/expected.txt`, FOLDER);
        if (Deno.env.get("UPDATE") === "1" && file === files[0]) Deno.writeTextFileSync(expected, output);
        strictEqual(output, Deno.readTextFileSync(expected), file);
        strictEqual(output.includes(ENV.TOKEN), false, "a secret is shown");
        strictEqual(output.endsWith(": can be used\n"), !name.includes("bad_"), "the name of the case is wrong");
      }
    });
  }
});

const WORDS = ["{}", "[]", "[{}]", "null", '""', "-1", "1e999", '"x"', "{ a = 1 }", "env(1)", "constructor", "=", "}"];
const YAML_WORDS = ["&a ", "*a", "- ", ": ", "  ", "---", "<<: *a", "|", "!!str ", "'", "\n"];

Deno.test("any damage to the guide's file is either harmless or a ConfigError, in every format", () => {
  using parser = openParser();
  let state = 1;
  const random = (limit: number) => (state = state * 48271 % 0x7fffffff) % limit; // Lehmer: a failure can be repeated
  for (const file of filesOf("guide")) {
    const guide = Deno.readTextFileSync(new URL(`guide/${file}`, FOLDER));
    const words = [...WORDS, ...YAML_WORDS];
    for (let round = 0; round < 1000; round++) {
      const tokens = guide.split(/(\s+|"[^"]*"|[[\]{}=,:])/);
      for (let change = 0; change <= random(3); change++) {
        const other = random(2) === 0 ? words[random(words.length)] : tokens[random(tokens.length)];
        tokens[random(tokens.length)] = other;
      }
      const source = tokens.join("");
      try {
        loadConfig({ path: file, readFile: () => source, parse: parser.parse, env: () => undefined, flags: {} });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw new Error(`${file}, round ${round}:\n${source}`, { cause: error });
      }
    }
  }
});

Deno.test("the guide's file gives the same configuration in its later spelling, in YAML and in JSON; so do other cases", () => {
  using parser = openParser();
  const readFile = (path: string) => Deno.readTextFileSync(new URL(path, FOLDER));
  const load = (path: string) => loadConfig({ path, readFile, parse: parser.parse, env, flags: {} });
  const guide = load("guide/config.hcl");
  strictEqual(guide.config.export.otlp?.endpoint, "http://otel-collector:4317");
  deepStrictEqual(load("guide_later_spelling/config.hcl").settings, guide.settings);
  for (const name of ["guide", "all_settings"]) {
    const [first, ...others] = filesOf(name);
    strictEqual(others.length, 2);
    const { settings } = load(`${name}/${first}`);
    for (const file of others) deepStrictEqual(load(`${name}/${file}`).settings, settings, file);
  }
});
