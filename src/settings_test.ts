import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { document, type Plain, sources } from "./config/testing.ts";
import { walk } from "./config/mod.ts";
import { environmentNames, loadConfig, settings } from "./settings.ts";

const loadFile = (file: { [name: string]: Plain }) => loadConfig(sources({ path: "f", parse: () => document(file) }));

Deno.test("loadConfig() without a file gives the documented defaults, and flows as text", () => {
  const { config, notYet, warnings, path } = loadConfig(sources());
  deepStrictEqual([notYet, warnings, path], [[], [], undefined]);
  const { instrument, metrics, filter, informer, attributes, ...rest } = config;
  strictEqual(informer.selectors.length, 15);
  strictEqual(attributes.source.k8s.association.pod.sources.length, 3);
  const rules = Object.values(filter).flatMap((block) => Object.values(block));
  deepStrictEqual(rules, rules.map(() => ({ match: [], notMatch: [] })));
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
    ownTraces: undefined,
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

Deno.test("loadConfig() refuses other servers than the chart expects", () => {
  const variables: Record<string, string> = { MERMIN_EXPECTED_API_PORT: "8080", MERMIN_EXPECTED_METRICS_PORT: "10250" };
  const cases: [file: { [name: string]: Plain }, refused: RegExp | undefined][] = [
    [{}, undefined],
    [{ api: { port: 8080 }, metrics: { port: 10250 } }, undefined],
    [{ metrics: { enabled: false, port: 1 } }, undefined],
    [
      { api: { port: 9090 } },
      /f:1:1: api\.port = 9090: the server would listen on 9090, but the chart's value ports\.api is 8080; make them the same: port = 8080 here, or helm … --set ports\.api=9090$/,
    ],
    [{ internal: { metrics: { port: 9100 } } }, /f:1:1: internal\.metrics\.port = 9100: .*ports\.metrics is 10250/],
    [{ api: { enabled: false } }, /f:1:1: api\.enabled = false: the probes of the chart need this server/],
    [{ api: { listen_address: "127.0.0.1" } }, /f:1:1: api\.listen_address = "127\.0\.0\.1": the probes/],
  ];
  for (const [file, refused] of cases) {
    const read = () => loadConfig(sources({ path: "f", parse: () => document(file), env: (name) => variables[name] }));
    if (refused) throws(read, refused);
    else ok(read());
    ok(loadFile(file), "outside of the chart nothing is expected");
  }
  variables.MERMIN_EXPECTED_API_PORT = "18080";
  const without = () => loadConfig(sources({ env: (name) => variables[name] }));
  throws(without, /api\.port: the server would listen on 8080, but the chart's value ports\.api is 18080/);
});

Deno.test("loadConfig() refuses a stop that lasts longer than the chart's pod may", () => {
  const cases: [file: { [name: string]: Plain }, seconds: string, refused?: RegExp][] = [
    [{}, "40"],
    [{ shutdown_timeout: "39s" }, "40"],
    [
      { shutdown_timeout: "1m30s" },
      "40",
      /f:1:1: shutdown_timeout = "1m30s": .* killed after 40 s, .*--set terminationGracePeriodSeconds=102$/,
    ],
    [{}, "28", /shutdown_timeout: .* killed after 28 s/],
  ];
  for (const [file, seconds, refused] of cases) {
    const env = (name: string) => name === "MERMIN_EXPECTED_GRACE_SECONDS" ? seconds : undefined;
    const read = () => loadConfig(sources({ path: "f", parse: () => document(file), env }));
    if (refused) throws(read, refused);
    else ok(read());
  }
  ok(loadFile({ shutdown_timeout: "1m30s" }), "outside of the chart nothing is expected");
});

Deno.test("loadConfig() leaves the kubelet its port in the node's network, when the server is on", () => {
  const variables: Record<string, string> = { MERMIN_EXPECTED_METRICS_PORT: "10250", MERMIN_EXPECTED_API_PORT: "8080" };
  const read = (file: { [name: string]: Plain }) => () =>
    loadConfig(sources({ path: "f", parse: () => document(file), env: (name) => variables[name] }));
  ok(read({})());
  variables.MERMIN_EXPECTED_HOST_NETWORK = "true";
  throws(read({}), /metrics\.port: with hostNetwork this is the port of the node's kubelet; .*, or enabled = false$/);
  throws(read({ metrics: { port: 10250 } }), /f:1:1: metrics\.port = 10250: with hostNetwork/);
  ok(read({ metrics: { enabled: false } })());
  variables.MERMIN_EXPECTED_METRICS_PORT = "9090";
  ok(read({ metrics: { port: 9090 } })());
  variables.MERMIN_EXPECTED_API_PORT = "10250";
  throws(read({ metrics: { port: 9090 }, api: { port: 10250 } }), /api\.port = 10250: .*ports\.api$/);
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
    parser: { vxlan_port: 4790 },
    pipeline: { flow_producer: { workers: 4 } },
  });
  deepStrictEqual(notYet.map((line) => line.split(" ")[0]), [
    "parser.vxlan_port",
    "pipeline.flow_producer.workers",
  ]);
});

Deno.test("nothing else has no effect than what looks into tunnels, and what is fixed by design", () => {
  const unused = [...walk(settings)].filter(([, setting]) => setting.unused !== undefined).map(([path]) => path);
  deepStrictEqual(unused, [
    "parser.vxlan_port",
    "parser.geneve_port",
    "parser.wireguard_port",
    "pipeline.flow_producer.workers",
    "pipeline.flow_producer.worker_queue_capacity",
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
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "MERMIN_ALLOW_NET",
    "MERMIN_ATTACH",
    "MERMIN_CONFIG_PATH",
    "MERMIN_INSTANCE",
    "NODE_NAME",
    "POD_NAME",
    "POD_NAMESPACE",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "MERMIN_EXPECTED_API_PORT",
    "MERMIN_EXPECTED_METRICS_PORT",
    "MERMIN_EXPECTED_HOST_NETWORK",
    "MERMIN_EXPECTED_GRACE_SECONDS",
    "MERMIN_LOG_LEVEL",
    "MERMIN_CONFIG_AUTO_RELOAD",
  ]);
});
