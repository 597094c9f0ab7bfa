/** The built agent with everything that guards the way to its collector: its launcher permits what it needs, and no secret shows. */

import { deepEqual, equal, match } from "node:assert/strict";
import { Agent, agentPath, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Authority } from "../harness/certificates.ts";
import { Collector } from "../harness/collector.ts";
import { Network } from "../harness/netns.ts";
import { tryRun } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";

const HERE = "DNS:localhost,IP:127.0.0.1";
const SECRETS = ["s3cret-token", "s3cret-header", "s3cret-password", "PRIVATE KEY"];

const TRACE = { MERMIN_LOG_LEVEL: "trace" };

interface Way {
  protocol: "grpc" | "http_binary" | "http_json";
  /** Settings of `tls`. */
  tls: Record<string, string | boolean>;
  env?: Record<string, string>;
}

function exporter({ protocol, tls }: Way, endpoint: string, bearer = SECRETS[0]): string {
  const settings = Object.entries(tls).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  return `
export "traces" {
  otlp {
    endpoint           = "${endpoint}"
    protocol           = "${protocol}"
    max_batch_interval = "100ms"
    compression        = "gzip"
    headers            = { x-key = "${SECRETS[1]}" }
    auth {
      bearer = "${bearer}"
    }
    tls {
      ${settings.join("\n      ")}
    }
  }
}`;
}

for (const protocol of ["grpc", "http_binary", "http_json"] as const) {
  Deno.test(`the agent sends encrypted flows over ${protocol}, and shows no secret anywhere`, async () => {
    await prepareBpffs();
    await using authority = await Authority.create();
    const server = await authority.issue("server", HERE);
    const { cert, key } = await authority.issue("agent", "DNS:agent");
    const receiver = { tls: { ...server, clientCa: authority.cert }, authorization: `Bearer ${SECRETS[0]}` };
    const ways: Way[] = [
      { protocol, tls: { ca_cert: authority.cert, client_cert: cert, client_key: key } },
      { protocol, tls: { insecure_skip_verify: true, client_cert: cert, client_key: key } },
      // The roots of the system, of which this authority is one here.
      { protocol, tls: { client_cert: cert, client_key: key }, env: { SSL_CERT_FILE: authority.cert } },
    ];
    for (const way of ways) {
      await using collector = await Collector.start("file", receiver);
      const endpoint = protocol === "grpc" ? collector.grpcEndpoint : collector.httpEndpoint;
      await using network = await Network.create();
      await using instance = new Instance();
      const settings = { watch: watch(network.left), extra: exporter(way, endpoint) };
      await using agent = await Agent.start(settings, { instance: instance.name, env: { ...TRACE, ...way.env } });
      await network.left.namespace.run(["ping", "-c", "1", network.right.ipv4]);
      equal(await agent.stop(), 0);
      const spans = await collector.stop();
      equal(spans.some(({ attributes }) => attributes["destination.address"] === network.right.ipv4), true);
      const { output } = agent.process;
      deepEqual(SECRETS.filter((secret) => output.includes(secret)), [], output);
      equal(/export_failing|export_refused/.test(output), false, output);
    }
  });
}

Deno.test("spans go where the endpoint says, whatever proxies the environment names", async () => {
  await prepareBpffs();
  const nobody = "http://127.0.0.1:1";
  const env = { HTTP_PROXY: nobody, http_proxy: nobody, ALL_PROXY: nobody, all_proxy: nobody };
  await using collector = await Collector.start();
  await using network = await Network.create();
  await using instance = new Instance();
  const otlp = { endpoint: collector.httpEndpoint, protocol: "http_binary" } as const;
  await using agent = await Agent.start({ watch: watch(network.left), otlp }, { instance: instance.name, env });
  await network.left.namespace.run(["ping", "-c", "1", network.right.ipv4]);
  equal(await agent.stop(), 0);
  const spans = await collector.stop();
  equal(spans.some(({ attributes }) => attributes["destination.address"] === network.right.ipv4), true);
});

Deno.test("the agent shows no secret when its collector refuses it, nor in its pages", async () => {
  await prepareBpffs();
  await using collector = await Collector.start("file", { authorization: "Bearer another" });
  for (const protocol of ["grpc", "http_json"] as const) {
    await using network = await Network.create();
    await using instance = new Instance();
    const endpoint = protocol === "grpc" ? collector.grpcEndpoint : collector.httpEndpoint;
    const settings = { watch: watch(network.left), extra: exporter({ protocol, tls: {} }, endpoint) };
    await using agent = await Agent.start(settings, { instance: instance.name, env: TRACE });
    await network.left.namespace.run(["ping", "-c", "1", network.right.ipv4]);
    const pages = await agent.pages();
    equal(await agent.stop(), 0);
    const shown = pages + agent.process.output;
    match(shown, /export_unencrypted/);
    match(shown, /export_refused.*(http_401|grpc_unauthenticated)/);
    deepEqual(SECRETS.filter((secret) => shown.includes(secret)), [], shown);
  }
});

Deno.test("the agent does not start with a file of the tls settings that it cannot use, and says which", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  await using instance = new Instance();
  const tls = { ca_cert: "/nowhere/ca.pem" };
  const extra = exporter({ protocol: "grpc", tls }, "https://127.0.0.1:4317");
  await using agent = await Agent.launch({ watch: watch(network.left), extra }, { instance: instance.name });
  const { code, stderr } = await agent.result();
  equal(code, 1);
  match(stderr, /Cannot read ca_cert "\/nowhere\/ca.pem": .*must be there and readable/);
});

Deno.test("mermin validate shows no secret of a broken file", async () => {
  await using folder = await temporary("secret");
  const file = `${folder.path}/broken.hcl`;
  const broken = exporter({ protocol: "grpc", tls: { client_cert: "/c" } }, "https://c", `${SECRETS[0]}\\n`);
  await Deno.writeTextFile(file, broken);
  const { code, stdout, stderr } = await tryRun([agentPath(), "validate", file]);
  equal(code, 2);
  match(stderr, /auth.bearer = \(hidden\)/);
  match(stderr, /client_cert and client_key need each other/);
  deepEqual(SECRETS.filter((secret) => (stdout + stderr).includes(secret)), []);
});
