import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { document, type Plain, sources } from "./config/testing.ts";
import { walk } from "./config/mod.ts";
import { environmentNames, loadConfig, settings } from "./settings.ts";

const loadFile = (file: { [name: string]: Plain }) => loadConfig(sources({ path: "f", parse: () => document(file) }));

Deno.test("loadConfig() without a file gives the documented defaults, and flows as text", () => {
  const { config, notYet, warnings, path } = loadConfig(sources());
  deepStrictEqual([notYet, warnings, path], [[], [], undefined]);
  const { instrument, metrics, ...rest } = config;
  strictEqual(
    instrument.interfaces.join(" "),
    "veth* tunl* ip6tnl* vxlan* flannel* cali* cilium_* lxc* gke* eni* azure* ovn-k8s*",
  );
  deepStrictEqual([metrics.enabled, metrics.listenAddress, metrics.port], [true, "0.0.0.0", 10250]);
  deepStrictEqual(rest, {
    logLevel: "info",
    logFormat: "auto",
    autoReload: false,
    onExit: "auto",
    shutdownTimeoutMs: 28_000,
    parser: { vxlanPort: 4789, genevePort: 6081, wireguardPort: 51820, keyScope: "none" },
    pipeline: {
      flowStatsCapacity: 100_000,
      flowEventsCapacity: 1024,
      flowStorePollIntervalMs: 5000,
      flowSpanQueueCapacity: 16_384,
      workers: 1,
      workerQueueCapacity: 2048,
      decoratedSpanQueueCapacity: 32_768,
    },
    span: {
      maxRecordIntervalMs: 60_000,
      genericTimeoutMs: 30_000,
      icmpTimeoutMs: 10_000,
      tcpTimeoutMs: 20_000,
      tcpFinTimeoutMs: 5000,
      tcpRstTimeoutMs: 5000,
      udpTimeoutMs: 60_000,
      communityIdSeed: 0,
      traceIdTimeoutMs: 86_400_000,
    },
    export: { stdout: { format: "text" }, otlp: undefined },
    api: { enabled: true, listenAddress: "0.0.0.0", port: 8080 },
  });
});

Deno.test("loadConfig() reads both spellings of the servers", () => {
  const older = loadFile({ api: { port: 1 }, metrics: { port: 2 } }).config;
  const later = loadFile({ internal: { server: { port: 1 }, metrics: { port: 2 } } }).config;
  deepStrictEqual(later, older);
  deepStrictEqual([older.api.port, older.metrics.port], [1, 2]);
});

Deno.test("loadConfig() refuses a server that is given in both spellings", () => {
  throws(() => loadFile({ api: {}, internal: { server: {} } }), /internal\.server = \{\}: api is given as well/);
  throws(
    () => loadFile({ metrics: {}, internal: { metrics: {} } }),
    /internal\.metrics = \{\}: metrics is given as well/,
  );
});

Deno.test("loadConfig() refuses two servers on one port unless their addresses differ or one is off", () => {
  const servers = (api: Plain, metrics: Plain) => () => loadFile({ api, metrics });
  const shared = /the api and the metrics server cannot share port/;
  throws(servers({ port: 10250 }, {}), shared);
  throws(servers({}, { port: 8080, listen_address: "127.0.0.1" }), shared);
  throws(servers({ listen_address: "::" }, { port: 8080, listen_address: "127.0.0.1" }), shared);
  ok(servers({ listen_address: "127.0.0.2" }, { port: 8080, listen_address: "127.0.0.1" })());
  ok(servers({ enabled: false }, { port: 8080 })());
});

Deno.test("loadConfig() exports only where the file says, once it says so", () => {
  const exported = (traces: Plain) => loadFile({ export: { traces } }).config.export;
  deepStrictEqual(exported({}), { stdout: { format: "text" }, otlp: undefined });
  strictEqual(exported({ otlp: {} }).stdout, undefined);
  strictEqual(exported({ otlp: {} }).otlp?.endpoint, "http://localhost:4317");
  const both = exported({ otlp: { protocol: "HTTP/Protobuf" }, stdout: "TEXT" });
  deepStrictEqual([both.otlp?.protocol, both.stdout?.format], ["http_binary", "text"]);
});

Deno.test("loadConfig() takes an empty list of interfaces for the default", () => {
  const { instrument } = loadFile({ discovery: { instrument: { interfaces: [] } } }).config;
  strictEqual(instrument.interfaces[0], "veth*");
});

Deno.test("loadConfig() never shows the password of an endpoint", () => {
  throws(
    () => loadFile({ export: { traces: { otlp: { endpoint: "http://me:hunter2@collector:4317" } } } }),
    (error: Error) => {
      match(
        error.message,
        /endpoint = "http:\/\/\(hidden\)@collector:4317": a user or password cannot stand in the URL/,
      );
      return true;
    },
  );
});

Deno.test("loadConfig() lists what has no effect yet, one line each", () => {
  const { notYet } = loadFile({
    auto_reload: true,
    parser: { key_scope: "vni" },
    pipeline: { flow_producer: { workers: 4 } },
    discovery: { informer: { k8s: { selectors: [{ kind: "pod" }] } } },
    filter: { source: { port: { match: ["80"] } }, flow: {} },
    export: { traces: { otlp: { compression: "gzip", tls: { insecure_skip_verify: true }, auth: { bearer: "x" } } } },
    metrics: { debug_metrics_enabled: true },
    internal: { traces: { stdout: "text" } },
  });
  deepStrictEqual(notYet.map((line) => line.split(" ")[0]), [
    "auto_reload",
    "discovery.informer.k8s",
    "filter.source",
    "parser.key_scope",
    "pipeline.flow_producer.workers",
    "export.traces.otlp.auth",
    "export.traces.otlp.compression",
    "export.traces.otlp.tls",
    "metrics.debug_metrics_enabled",
    "internal.traces",
  ]);
});

Deno.test("every setting has a name of the file's style and one sentence", () => {
  for (const [path, { doc }] of walk(settings)) {
    match(path, /^[a-z0-9_]+(\.[a-z0-9_]+)*$/);
    match(doc, /^[A-Z].*\.$/, path);
  }
});

Deno.test("environmentNames() are those of the table and of the command line", () => {
  deepStrictEqual(environmentNames(), [
    "MERMIN_ATTACH",
    "MERMIN_CONFIG_PATH",
    "MERMIN_INSTANCE",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "MERMIN_LOG_LEVEL",
    "MERMIN_CONFIG_AUTO_RELOAD",
  ]);
});
