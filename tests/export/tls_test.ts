/** Encrypted ways into a real Collector: whom the exporter trusts, how it proves itself, and what it says when that fails. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { OtlpExporter } from "../../src/export/otlp/mod.ts";
import type { OtlpConfig } from "../../src/export/otlp/config.ts";
import { otlpConfig } from "../../src/export/otlp/testing.ts";
import { DEFAULT_TLS } from "../../src/export/otlp/transport.ts";
import { createMeasures, FakeLogger, flowSpan } from "../../src/export/testing.ts";
import { Authority } from "../harness/certificates.ts";
import { Collector } from "../harness/collector.ts";
import { until } from "../harness/wait.ts";

const PROTOCOLS = ["grpc", "http_binary", "http_json"] as const;
const HERE = "DNS:localhost,IP:127.0.0.1";
const SPANS = 700;
/** Longer than a busy machine takes for anything. */
const PATIENCE_MS = 120_000;

function exporterTo(collector: Collector, change: Partial<OtlpConfig>) {
  const logger = new FakeLogger();
  const endpoint = change.protocol === "grpc" ? collector.grpcEndpoint : collector.httpEndpoint;
  const exporter = new OtlpExporter({
    config: otlpConfig({
      endpoint,
      maxBatchIntervalMs: 100,
      timeoutMs: PATIENCE_MS,
      maxExportTimeoutMs: PATIENCE_MS,
      ...change,
    }),
    resource: { "service.name": "mermin" },
    scope: { name: "mermin", version: "0.1.0" },
    logger,
    measures: createMeasures(),
  });
  exporter.start();
  return { exporter, logger };
}

/** Sends spans and resolves with the log when all of them are delivered. */
async function deliver(collector: Collector, change: Partial<OtlpConfig>): Promise<FakeLogger> {
  const { exporter, logger } = exporterTo(collector, change);
  for (let i = 0; i < SPANS; i++) exporter.export(flowSpan());
  await exporter.flush(performance.now() + PATIENCE_MS);
  await exporter.stop();
  deepEqual([exporter.stats.delivered, exporter.stats.lost], [SPANS, {}], JSON.stringify(logger.fields));
  return logger;
}

/** Sends spans that cannot arrive; resolves with the fields of the first line about it. */
async function failToDeliver(collector: Collector, change: Partial<OtlpConfig>) {
  const { exporter, logger } = exporterTo(collector, change);
  for (let i = 0; i < SPANS; i++) exporter.export(flowSpan());
  const at = await until("a line about the failure", () => logger.lines.indexOf("error export_failing") + 1);
  deepEqual([exporter.stats.queued, exporter.stats.delivered, exporter.stats.lost], [SPANS, 0, {}]);
  await exporter.stop();
  deepEqual(exporter.stats.lost, { shutdown: SPANS });
  return logger.fields[at - 1];
}

for (const protocol of PROTOCOLS) {
  Deno.test(`${protocol} goes to a collector whose authority is named, and not to others`, async () => {
    await using authority = await Authority.create();
    await using other = await Authority.create();
    const server = await authority.issue("server", HERE);
    await using collector = await Collector.start("file", { tls: server });
    for (const compression of ["none", "gzip"] as const) {
      const logger = await deliver(collector, {
        protocol,
        compression,
        tls: { ...DEFAULT_TLS, caCert: authority.cert },
      });
      deepEqual(logger.lines, []);
    }
    for (const tls of [undefined, { ...DEFAULT_TLS, caCert: other.cert }]) {
      const { code, detail } = await failToDeliver(collector, { protocol, tls });
      equal(code, "tls");
      match(String(detail), /not trusted; name that authority's file in tls \{ ca_cert \}/);
    }
    const unchecked = await deliver(collector, { protocol, tls: { ...DEFAULT_TLS, insecureSkipVerify: true } });
    deepEqual(unchecked.lines, ["warn export_unverified"]);
    equal((await collector.stop()).length, 3 * SPANS);
  });

  Deno.test(`${protocol} does not go to a collector with the certificate of another host`, async () => {
    await using authority = await Authority.create();
    const server = await authority.issue("server", "DNS:collector.example");
    await using collector = await Collector.start("nop", { tls: server });
    const tls = { ...DEFAULT_TLS, caCert: authority.cert };
    const { code, detail } = await failToDeliver(collector, { protocol, tls });
    equal(code, "tls");
    match(String(detail), /is for another host; write a host of it in endpoint/);
  });

  Deno.test(`${protocol} proves itself with a certificate, also with one that comes later`, async () => {
    await using authority = await Authority.create();
    const server = await authority.issue("server", HERE);
    const right = await authority.issue("agent", "DNS:agent");
    await using strangers = await Authority.create();
    const wrong = await strangers.issue("agent", "DNS:agent");
    await using collector = await Collector.start("file", { tls: { ...server, clientCa: authority.cert } });
    const trusting = { ...DEFAULT_TLS, caCert: authority.cert };
    await deliver(collector, { protocol, tls: { ...trusting, clientCert: right.cert, clientKey: right.key } });
    ok((await failToDeliver(collector, { protocol, tls: trusting })).detail !== "");

    const late = { clientCert: `${authority.directory}/late.pem`, clientKey: `${authority.directory}/late.key` };
    await Deno.copyFile(wrong.cert, late.clientCert);
    await Deno.copyFile(wrong.key, late.clientKey);
    const { exporter, logger } = exporterTo(collector, { protocol, tls: { ...trusting, ...late } });
    for (let i = 0; i < SPANS; i++) exporter.export(flowSpan());
    await until("a failure", () => logger.lines.length > 0);
    await Deno.copyFile(right.cert, late.clientCert);
    await Deno.copyFile(right.key, late.clientKey);
    await exporter.flush(performance.now() + PATIENCE_MS);
    deepEqual([exporter.stats.delivered, exporter.stats.lost], [SPANS, {}]);
    deepEqual([logger.lines[0], logger.lines.at(-1)], ["error export_failing", "info export_recovered"]);
    await exporter.stop();
    equal((await collector.stop()).length, 2 * SPANS);
  });
}

const SECRET = "s3cret-of-the-test";
const BASIC = { basic: { user: "agent", pass: SECRET }, bearer: "" };
const BEARER = { basic: undefined, bearer: SECRET };
const AUTHORIZATIONS = [["basic", BASIC, `Basic ${btoa(`agent:${SECRET}`)}`], [
  "bearer",
  BEARER,
  `Bearer ${SECRET}`,
]] as const;

for (const protocol of PROTOCOLS) {
  for (const [kind, auth, authorization] of AUTHORIZATIONS) {
    Deno.test(`${protocol} with ${kind} authentication is let in, and a wrong secret is refused and counted`, async () => {
      await using collector = await Collector.start("file", { authorization });
      const let_in = await deliver(collector, { protocol, auth });
      deepEqual(let_in.lines, ["warn export_unencrypted"]);
      const headers = { Authorization: authorization };
      deepEqual((await deliver(collector, { protocol, headers })).lines, []);

      const { exporter, logger } = exporterTo(collector, { protocol, auth: { ...BEARER, bearer: "wrong-secret" } });
      for (let i = 0; i < SPANS; i++) exporter.export(flowSpan());
      await exporter.flush(performance.now() + PATIENCE_MS);
      await exporter.stop();
      deepEqual(exporter.stats.lost, { refused: SPANS });
      deepEqual(logger.lines, ["warn export_unencrypted", "error export_refused"]);
      match(String(logger.fields[1].code), /^(grpc_unauthenticated|http_401)$/);
      equal(JSON.stringify([logger.fields, let_in.fields]).includes("secret"), false);
      equal((await collector.stop()).length, 2 * SPANS);
    });
  }
}
