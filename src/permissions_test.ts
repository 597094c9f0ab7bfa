import { deepStrictEqual, throws } from "node:assert/strict";
import { document, type Plain, sources } from "./config/testing.ts";
import { permissionFlags } from "./permissions.ts";
import { type Config, loadConfig } from "./settings.ts";

const context = { libraryPath: "/opt/m/lib.so", configPath: "/etc/mermin.hcl", env: ["A", "B"] };

function configOf(file: { [name: string]: Plain }): Config {
  return loadConfig(sources({ path: "f", parse: () => document(file) })).config;
}

Deno.test("permissionFlags() names exactly what the default configuration uses", () => {
  deepStrictEqual(permissionFlags(configOf({}), context), [
    "--allow-net=0.0.0.0:8080,0.0.0.0:10250",
    "--allow-ffi=/opt/m/lib.so",
    "--allow-read=/etc/mermin.hcl,/etc/machine-id",
    "--allow-env=A,B",
    "--allow-sys=hostname,osRelease,networkInterfaces",
  ]);
});

Deno.test("permissionFlags() names the collector and the listeners that are on", () => {
  const net = (endpoint: string, file: { [name: string]: Plain } = {}) =>
    permissionFlags(configOf({ export: { traces: { otlp: { endpoint } } }, ...file }), context)[0];
  const off = { api: { enabled: false }, metrics: { enabled: false } };
  const cases: [string, { [name: string]: Plain }, string][] = [
    ["http://collector:4317", {}, "collector:4317,0.0.0.0:8080,0.0.0.0:10250"],
    ["http://collector", off, "collector:80"],
    ["https://collector/v1/traces", off, "collector:443"],
    ["http://[fd00::1]:4318", off, "[fd00::1]:4318"],
    ["http://127.0.0.1:9", { ...off, api: { listen_address: "::1", port: 9 } }, "127.0.0.1:9,[::1]:9"],
  ];
  for (const [endpoint, file, expected] of cases) deepStrictEqual(net(endpoint, file), `--allow-net=${expected}`);
});

Deno.test("permissionFlags() without a configuration allows no network and no file", () => {
  deepStrictEqual(permissionFlags(undefined, { libraryPath: "/l.so", env: [] }), ["--allow-ffi=/l.so"]);
});

Deno.test("permissionFlags() refuses a path that Deno cannot name", () => {
  throws(() => permissionFlags(undefined, { libraryPath: "/a,b.so", env: [] }), { name: "ConfigError" });
});
