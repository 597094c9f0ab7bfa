import { deepStrictEqual, throws } from "node:assert/strict";
import { document, type Plain, sources } from "./config/testing.ts";
import { needsOf, permissionFlags } from "./permissions.ts";
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
    "--allow-sys=hostname,osRelease",
  ]);
});

Deno.test("permissionFlags() names the collector and the listeners that are on", () => {
  const net = (endpoint: string, file: { [name: string]: Plain } = {}) =>
    permissionFlags(
      configOf({ export: { traces: { otlp: { endpoint, protocol: "http_json" } } }, ...file }),
      context,
    )[0];
  const off = { api: { enabled: false }, metrics: { enabled: false } };
  const cases: [string, { [name: string]: Plain }, string][] = [
    ["http://collector:4317", {}, "collector:4317,0.0.0.0:8080,0.0.0.0:10250"],
    ["http://collector", off, "collector:80"],
    ["https://collector/v1/traces", off, "collector:443"],
    ["http://[fd00::1]:4318", off, "[fd00::1]:4318"],
    ["http://127.0.0.1:90", { ...off, api: { listen_address: "::1", port: 90 } }, "127.0.0.1:90,[::1]:90"],
  ];
  for (const [endpoint, file, expected] of cases) deepStrictEqual(net(endpoint, file), `--allow-net=${expected}`);
});

Deno.test("permissionFlags() names where the agent's own spans go", () => {
  const otlp = { endpoint: "https://own:4317", tls: { ca_cert: "/own.pem" } };
  const flags = permissionFlags(configOf({ internal: { traces: { otlp } } }), context);
  deepStrictEqual(flags[0], "--allow-net=0.0.0.0:8080,0.0.0.0:10250,own:4317");
  deepStrictEqual(flags[2], "--allow-read=/etc/mermin.hcl,/etc/machine-id,/own.pem");
});

Deno.test("permissionFlags() lets the files of TLS be read", () => {
  const read = (tls: { [name: string]: Plain }) => {
    const config = configOf({ export: { traces: { otlp: { endpoint: "https://collector", tls } } } });
    return permissionFlags(config, context).find((flag) => flag.startsWith("--allow-read="));
  };
  const always = "--allow-read=/etc/mermin.hcl,/etc/machine-id";
  deepStrictEqual(read({ insecure_skip_verify: true }), always);
  deepStrictEqual(read({ ca_cert: "/ca.pem" }), `${always},/ca.pem`);
  deepStrictEqual(read({ client_cert: "/c.pem", client_key: "/c.key" }), `${always},/c.pem,/c.key`);
});

Deno.test("permissionFlags() without a configuration allows no network and no file", () => {
  deepStrictEqual(permissionFlags(undefined, { libraryPath: "/l.so", env: [] }), ["--allow-ffi=/l.so"]);
});

Deno.test("permissionFlags() refuses a path that Deno cannot name", () => {
  throws(() => permissionFlags(undefined, { libraryPath: "/a,b.so", env: [] }), { name: "ConfigError" });
});

Deno.test("permissionFlags() adds what MERMIN_ALLOW_NET names, if it is hosts with ports", () => {
  const config = configOf({ api: { enabled: false }, metrics: { enabled: false } });
  const net = (allowNet: string) => permissionFlags(config, { ...context, allowNet })[0];
  deepStrictEqual(net("a:1, [fd00::1]:4317,"), "--allow-net=a:1,[fd00::1]:4317");
  deepStrictEqual(net(""), "--allow-ffi=/opt/m/lib.so");
  for (const wrong of ["a", "a:1:2", "*", "a:1\n--allow-all", "a:1 b:2"]) {
    throws(() => net(wrong), /MERMIN_ALLOW_NET: .* is not a host with a port/s, wrong);
  }
});

Deno.test("needsOf() says which part needs what", () => {
  const config = configOf({ export: { traces: { otlp: { endpoint: "http://a" } } }, metrics: { enabled: false } });
  deepStrictEqual(needsOf(config), [
    { step: "export", permission: "net", value: "a:80" },
    { step: "api", permission: "net", value: "0.0.0.0:8080" },
  ]);
});
