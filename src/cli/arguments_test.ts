import { deepStrictEqual, match, throws } from "node:assert/strict";
import { walk } from "../config/mod.ts";
import { settings } from "../settings.ts";
import { type Arguments, HELP, parseArguments } from "./arguments.ts";

const parse = (args: string, env: Record<string, string> = {}) =>
  parseArguments(args.split(" ").filter(Boolean), (name) => env[name]);

const nothing: Arguments = {
  command: "run",
  configPath: undefined,
  instance: "default",
  instanceGiven: false,
  attachMode: "auto",
  flags: { "log-level": undefined, "auto-reload": undefined, interface: undefined },
  diagnose: undefined,
};

const diagnose = (change: Partial<Arguments["diagnose"]>): Partial<Arguments> => ({
  command: "diagnose",
  diagnose: { interfaces: [], patterns: [], skip: [], json: false, ...change },
});

Deno.test("parseArguments() reads commands and flags", () => {
  const cases: [string, Partial<Arguments>][] = [
    ["", {}],
    ["--config a.hcl", { configPath: "a.hcl" }],
    ["-c a.hcl --auto-reload", { configPath: "a.hcl", flags: { ...nothing.flags, "auto-reload": true } }],
    ["--config=a.hcl --instance=two", { configPath: "a.hcl", instance: "two", instanceGiven: true }],
    ["--interface eth* --interface=/^en/", { flags: { ...nothing.flags, interface: ["eth*", "/^en/"] } }],
    ["--log-level debug --auto-reload", { flags: { ...nothing.flags, "log-level": "debug", "auto-reload": true } }],
    ["validate a.hcl", { command: "validate", configPath: "a.hcl" }],
    ["validate --config a.hcl", { command: "validate", configPath: "a.hcl" }],
    ["validate", { command: "validate" }],
    ["diagnose bpf", diagnose({})],
    ["diagnose bpf --json", diagnose({ json: true })],
    ["diagnose bpf --pattern a b --skip c", diagnose({ patterns: ["a", "b"], skip: ["c"] })],
    ["diagnose bpf --pattern a --pattern=b --skip c d", diagnose({ patterns: ["a", "b"], skip: ["c", "d"] })],
    ["--pattern a --json diagnose bpf", diagnose({ patterns: ["a"], json: true })],
    ["diagnose bpf --interface a --interface b", {
      ...diagnose({ interfaces: ["a", "b"] }),
      flags: { ...nothing.flags, interface: ["a", "b"] },
    }],
    ["cleanup", { command: "cleanup" }],
    ["cleanup --instance two", { command: "cleanup", instance: "two", instanceGiven: true }],
    ["cleanup --instance default", { command: "cleanup", instanceGiven: true }],
    ["permissions -c a.hcl", { command: "permissions", configPath: "a.hcl" }],
    ["--help", { command: "help" }],
    ["help", { command: "help" }],
    ["help validate", { command: "help" }],
    ["validate -h", { command: "help" }],
    ["--version", { command: "version" }],
    ["-V", { command: "version" }],
  ];
  for (const [args, expected] of cases) deepStrictEqual(parse(args), { ...nothing, ...expected }, args);
});

Deno.test("parseArguments() takes the instance from MERMIN_INSTANCE unless a flag names it", () => {
  const env = { MERMIN_INSTANCE: "by-variable" };
  const cases: [args: string, env: Record<string, string>, instance: string, instanceGiven: boolean][] = [
    ["", env, "by-variable", true],
    ["--instance given", env, "given", true],
    ["", { MERMIN_INSTANCE: "" }, "default", false],
    ["", { MERMIN_INSTANCE: "default" }, "default", true],
  ];
  for (const [args, env, instance, instanceGiven] of cases) {
    deepStrictEqual(parse(args, env), { ...nothing, instance, instanceGiven }, args);
  }
});

Deno.test("parseArguments() takes the kind of hook from MERMIN_ATTACH", () => {
  deepStrictEqual(parse("", { MERMIN_ATTACH: "clsact" }), { ...nothing, attachMode: "clsact" });
  deepStrictEqual(parse("", { MERMIN_ATTACH: "" }), nothing);
  throws(() => parse("", { MERMIN_ATTACH: "xdp" }), {
    name: "UsageError",
    message: 'MERMIN_ATTACH: "xdp" is no kind of hook; write auto, tcx or clsact',
  });
});

Deno.test("parseArguments() says what is wrong and what was probably meant", () => {
  const cases: [string, string][] = [
    ["--confg a.hcl", "unknown flag --confg; did you mean --config?"],
    ["--wibble", "unknown flag --wibble; see --help"],
    ["-x", "unknown flag -x; see --help"],
    ["--config", "--config needs a value; see --help"],
    ["--config --auto-reload", "--config needs a value; see --help"],
    ["--config=", "--config needs a value; see --help"],
    ["--auto-reload=yes", "--auto-reload takes no value"],
    ["valdate a.hcl", "unknown command valdate; did you mean validate?"],
    [
      "a.hcl",
      "unknown command a.hcl; known are validate, diagnose, cleanup and permissions; a file goes behind --config",
    ],
    ["diagnose", "diagnose needs what to look at: mermin diagnose bpf"],
    ["diagnose net", "diagnose needs what to look at: mermin diagnose bpf"],
    ["diagnose bpf eth0", "diagnose needs what to look at: mermin diagnose bpf"],
    ["--pattern a", "--pattern, --skip and --json belong to diagnose bpf"],
    ["cleanup --json", "--pattern, --skip and --json belong to diagnose bpf"],
    ["cleanup now", 'cleanup does not take "now"'],
    ["validate a b", 'validate does not take "b"'],
    ["validate a --config b", "give either a file or --config, not both"],
    ["--instance Two", '"Two" cannot name an instance; use 1 to 32 small letters, digits and hyphens'],
    ["--instance ../x", '"../x" cannot name an instance; use 1 to 32 small letters, digits and hyphens'],
  ];
  for (const [args, message] of cases) throws(() => parse(args), { name: "UsageError", message }, args);
});

Deno.test("parseArguments() knows the flag of every setting that has one, and --help names it and its variable", () => {
  for (const [path, { flag, env }] of walk(settings)) {
    if (flag !== undefined) deepStrictEqual(flag in parse("").flags, true, path);
    for (const name of [flag && `--${flag}`, env]) if (name) match(HELP, new RegExp(`${name}\\b`), path);
  }
});
