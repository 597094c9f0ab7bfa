import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { group } from "./group.ts";
import { bool, list, port, text } from "./kinds.ts";
import { type Flags, load, walk } from "./load.ts";
import { override } from "./setting.ts";
import { document, sources } from "./testing.ts";

const table = group("", {
  level: override(
    { env: "LEVEL", flag: "level" },
    text("default", "", { check: (value) => value === "bad" ? "no" : undefined }),
  ),
  reload: override({ env: "RELOAD", flag: "reload" }, bool(false, "")),
  deep: group("", { names: override({ flag: "name" }, list(text("", ""), ["a"], "")), port: port(1, "") }),
});

function loadFrom(file: string | undefined, env: Record<string, string>, flags: Flags = {}) {
  const parse = () => document(file === undefined ? {} : { level: file });
  return load(table, sources({ path: file && "f", parse, env: (name) => env[name], flags }));
}

Deno.test("load() takes defaults, then the file, then variables, then flags", () => {
  const cases: [string | undefined, string | undefined, string | undefined, string][] = [
    [undefined, undefined, undefined, "default"],
    ["file", undefined, undefined, "file"],
    ["file", "variable", undefined, "variable"],
    ["file", "variable", "flag", "flag"],
    [undefined, "variable", undefined, "variable"],
    ["file", "", undefined, "file"],
  ];
  for (const [file, variable, flag, expected] of cases) {
    const env: Record<string, string> = variable === undefined ? {} : { LEVEL: variable };
    strictEqual(loadFrom(file, env, { level: flag }).value.level, expected);
  }
});

Deno.test("load() sets lists and switches in groups that the file does not have", () => {
  const { value } = loadFrom(undefined, { RELOAD: "true" }, { name: ["x", "y"] });
  deepStrictEqual(value, { level: "default", reload: true, deep: { names: ["x", "y"], port: 1 } });
});

Deno.test("load() names the variable or flag of a wrong value", () => {
  throws(() => loadFrom("file", { RELOAD: "maybe" }, { level: "bad" }), {
    name: "ConfigError",
    problems: [
      '--level: level = "bad": no',
      'RELOAD: reload = "maybe": not a switch; write true or false',
    ],
  });
});

Deno.test("load() finds the file by MERMIN_CONFIG_PATH unless a path is given", () => {
  const read: string[] = [];
  const env = (name: string) => name === "MERMIN_CONFIG_PATH" ? "by-variable.hcl" : undefined;
  const readFile = (path: string) => (read.push(path), "");
  strictEqual(load(table, sources({ readFile, env })).path, "by-variable.hcl");
  strictEqual(load(table, sources({ readFile, env, path: "given.hcl" })).path, "given.hcl");
  deepStrictEqual(read, ["by-variable.hcl", "given.hcl"]);
  strictEqual(load(table, sources()).path, undefined);
});

Deno.test("load() says which file cannot be read, and why", () => {
  const readFile = () => {
    throw new Error("No such file or directory (os error 2)");
  };
  throws(() => load(table, sources({ path: "a.hcl", readFile })), {
    message: 'Cannot read "a.hcl": No such file or directory (os error 2); check --config and MERMIN_CONFIG_PATH',
  });
});

Deno.test("load() warns of variables that a file reads and nobody has set", () => {
  const parse = () => ({ ...document({}), unset: [{ variable: "TOKEN", line: 3, column: 9 }] });
  deepStrictEqual(load(table, sources({ path: "f", parse })).warnings, [
    'f:3:9: the variable TOKEN is not set and has no default; it counts as ""',
  ]);
});

Deno.test("walk() lists every setting with its path", () => {
  deepStrictEqual([...walk(table)].map(([path]) => path), ["level", "reload", "deep", "deep.names", "deep.port"]);
});
