import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { walk } from "../config/mod.ts";
import { document, type Plain, sources } from "../config/testing.ts";
import type { Need } from "../permissions.ts";
import { loadConfig, type Settings, settings } from "../settings.ts";
import { changedSettings, withSettingOf } from "./changes.ts";
import { planReload } from "./plan.ts";
import { ruleOf } from "./rules.ts";

type File = { [name: string]: Plain };

const read = (file: File): Settings => loadConfig(sources({ path: "f", parse: () => document(file) })).settings;
const all = () => true;

const OTLP: File = { export: { traces: { otlp: { endpoint: "http://a:4317", headers: { x: "1" } } } } };

Deno.test("ruleOf() has a rule for every setting", () => {
  for (const [path, setting] of walk(settings)) {
    if (!setting.fields || setting.repeats) ok(ruleOf(path), path);
  }
  throws(() => ruleOf("no.such.setting"), /add one to src\/reload\/rules\.ts/);
});

Deno.test("ruleOf() says none only for what has no effect in this version", () => {
  const unused = [...walk(settings)].filter(([, setting]) => setting.unused).map(([path]) => path);
  const isUnused = (path: string) => unused.some((other) => path === other || path.startsWith(`${other}.`));
  for (const [path, setting] of walk(settings)) {
    if (setting.fields && !setting.repeats) continue;
    if (ruleOf(path) === "none") ok(isUnused(path), `${path} has an effect`);
  }
});

const CHANGES: [name: string, before: File, after: File, changed: string[]][] = [
  ["nothing", {}, {}, []],
  ["a default that is written out", {}, { log_level: "info", api: { port: 8080 } }, []],
  ["a setting", {}, { log_level: "debug" }, ["log_level"]],
  ["a setting deep inside", {}, { span: { tcp_timeout: "1s" } }, ["span.tcp_timeout"]],
  ["a list", {}, { discovery: { instrument: { interfaces: ["a"] } } }, ["discovery.instrument.interfaces"]],
  ["a map", OTLP, { export: { traces: { otlp: { endpoint: "http://a:4317", headers: { x: "2" } } } } }, [
    "export.traces.otlp.headers",
  ]],
  ["a group that comes", {}, OTLP, ["export.traces.otlp"]],
  ["a group that goes", OTLP, {}, ["export.traces.otlp"]],
  ["the other spelling of the same", { api: { port: 1 } }, { internal: { server: { port: 1 } } }, []],
  ["the other spelling of another", { metrics: { port: 1 } }, { internal: { metrics: { port: 2 } } }, ["metrics.port"]],
];
for (const [name, before, after, changed] of CHANGES) {
  Deno.test(`changedSettings() finds ${name}`, () =>
    deepStrictEqual(changedSettings(read(before), read(after)), changed));
}

Deno.test("withSettingOf() takes one setting or group from another configuration", () => {
  const [before, after] = [read(OTLP), read({ span: { tcp_timeout: "1s", udp_timeout: "2s" } })];
  deepStrictEqual(changedSettings(before, withSettingOf(after, before, "span.tcp_timeout")), [
    "span.udp_timeout",
    "export.traces.otlp",
  ]);
  deepStrictEqual(changedSettings(before, withSettingOf(after, before, "export.traces")), [
    "span.tcp_timeout",
    "span.udp_timeout",
  ]);
});

Deno.test("planReload() applies what can be, and lists exactly what needs a restart", () => {
  const plan = planReload(
    read({ ...OTLP, parser: { vxlan_port: 1 } }),
    read({
      log_level: "debug",
      discovery: { instrument: { interfaces: ["a"], tcx_order: "last" } },
      pipeline: { flow_capture: { flow_stats_capacity: 5000 }, flow_producer: { flow_store_poll_interval: "1s" } },
      span: { community_id_seed: 7, udp_timeout: "1s" },
      metrics: { port: 9999, histogram_buckets: { export_batch_size: [1, 2] } },
      export: { traces: { otlp: { endpoint: "http://b:4317" } } },
    }),
    all,
  );
  deepStrictEqual([...plan.steps].sort(), ["export", "interfaces", "log", "metrics", "producer"]);
  deepStrictEqual(plan.waiting, [
    "discovery.instrument.tcx_order",
    "pipeline.flow_capture.flow_stats_capacity",
    "span.community_id_seed",
    "metrics.histogram_buckets",
  ]);
  const { config } = plan;
  deepStrictEqual(
    [config.instrument.tcxOrder, config.pipeline.flowStatsCapacity, config.span.communityIdSeed, config.metrics.port],
    ["first", 100_000, 0, 9999],
  );
  deepStrictEqual([config.span.udpTimeoutMs, config.export.otlp?.endpoint], [1000, "http://b:4317"]);
});

Deno.test("planReload() leaves alone what this process has no permission for, and says which", () => {
  const asked: string[] = [];
  const isGranted = ({ permission, value }: Need) => (asked.push(`${permission} ${value}`), !value.startsWith("b:"));
  const after = read({
    api: { listen_address: "127.0.0.1", port: 1 },
    export: { traces: { otlp: { endpoint: "https://b", tls: { ca_cert: "/ca.pem" } } } },
  });
  const { applied, waiting, config, steps } = planReload(read(OTLP), after, isGranted);
  deepStrictEqual(asked, ["net b:443", "net 127.0.0.1:1", "net 0.0.0.0:10250"]);
  deepStrictEqual(applied, ["api.listen_address", "api.port"]);
  deepStrictEqual([...steps], ["api"]);
  const why = "this process may not use b:443: it was not started for it, nor with MERMIN_ALLOW_NET=b:443";
  deepStrictEqual(waiting, ["endpoint", "headers", "tls"].map((name) => `export.traces.otlp.${name} (${why})`));
  deepStrictEqual(config.export.otlp?.endpoint, "http://a:4317");
});
