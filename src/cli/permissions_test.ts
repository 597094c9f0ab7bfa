import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { ConfigError } from "../config/mod.ts";
import { sources } from "../config/testing.ts";
import { environmentNames, loadConfig, type LoadedConfig } from "../settings.ts";
import { HELP } from "./arguments.ts";
import { runPermissions } from "./permissions.ts";

const good = () => ({ ...loadConfig(sources()), path: "a.hcl", warnings: ["w"], notYet: ["n"] });
const bad = () => {
  throw new ConfigError(["a.hcl:1:1: x", "a.hcl:2:1: y"]);
};

function run(args: string[], load: () => LoadedConfig = good) {
  let [out, err] = ["", ""];
  const code = runPermissions(args, {
    load,
    env: () => undefined,
    libraryPath: "/l.so",
    version: "1.2.3",
    print: (text) => void (out += text),
    error: (text) => void (err += text),
  });
  return { code, out, err };
}

const FLAGS = [
  "--allow-net=0.0.0.0:8080,0.0.0.0:10250",
  "--allow-ffi=/l.so",
  "--allow-read=a.hcl,/etc/machine-id",
  "--allow-env=" + environmentNames().join(","),
  "--allow-sys=hostname,osRelease,networkInterfaces",
];

Deno.test("runPermissions() prints run and the flags of the second stage", () => {
  deepStrictEqual(run(["--config", "a.hcl"]), { code: 0, out: ["run", ...FLAGS, ""].join("\n"), err: "" });
});

Deno.test("runPermissions() allows cleanup no network", () => {
  const { out } = run(["cleanup"], bad);
  deepStrictEqual(out.split("\n")[0], "run");
  strictEqual(/allow-(net|read|sys)/.test(out), false);
});

Deno.test("runPermissions() answers without a second stage where none is needed", () => {
  deepStrictEqual(run(["permissions"]), { code: 0, out: [...FLAGS, ""].join("\n"), err: "" });
  deepStrictEqual(run(["--help"], bad), { code: 0, out: HELP, err: "" });
  deepStrictEqual(run(["--version"], bad), { code: 0, out: "mermin 1.2.3\n", err: "" });
  deepStrictEqual(run(["validate", "a.hcl"]), {
    code: 0,
    out: "a.hcl: can be used\n",
    err: "warning: w\nwarning: n\n",
  });
});

Deno.test("runPermissions() gives exit code 2 for a wrong configuration or command line", () => {
  for (const args of [[], ["validate", "a.hcl"], ["permissions"]]) {
    deepStrictEqual(run(args, bad), { code: 2, out: "", err: "a.hcl:1:1: x\na.hcl:2:1: y\n" });
  }
  deepStrictEqual(run(["--halp"]), { code: 2, out: "", err: "mermin: unknown flag --halp; did you mean --help?\n" });
  match(run(["validate"]).err, /^mermin: validate needs a file/);
});
