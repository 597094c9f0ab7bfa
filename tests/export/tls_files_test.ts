/** Files of the tls settings that are missing, damaged, renewed. */

import { deepEqual, equal, throws } from "node:assert/strict";
import { TlsFileError, TlsFiles } from "../../src/export/otlp/tls.ts";
import { DEFAULT_TLS } from "../../src/export/otlp/transport.ts";
import { Authority } from "../harness/certificates.ts";
import { run } from "../harness/process.ts";

const LONG_MS = 60_000;

Deno.test("TlsFiles.load() reads authorities, the certificate with its chain, and the key", async () => {
  await using authority = await Authority.create();
  const agent = await authority.issue("agent", "DNS:agent");
  const chain = `${authority.directory}/chain.pem`;
  await Deno.writeTextFile(
    chain,
    `# ours\n${await Deno.readTextFile(agent.cert)}\n${await Deno.readTextFile(authority.cert)}`,
  );
  const files = new TlsFiles({ ...DEFAULT_TLS, caCert: chain, clientCert: chain, clientKey: agent.key });
  const { ca, cert, key, rejectUnauthorized } = files.load();
  equal(ca?.length, 2);
  equal(cert?.match(/BEGIN CERTIFICATE/g)?.length, 2);
  deepEqual([key, rejectUnauthorized], [await Deno.readTextFile(agent.key), true]);
  deepEqual(new TlsFiles({ ...DEFAULT_TLS, insecureSkipVerify: true }).load(), {
    ca: undefined,
    rejectUnauthorized: false,
  });
});

Deno.test("TlsFiles.load() names the file that cannot be used, and what to do", async () => {
  await using authority = await Authority.create();
  const agent = await authority.issue("agent", "DNS:agent");
  const other = await authority.issue("other", "DNS:other");
  const file = async (name: string, content: string) => {
    await Deno.writeTextFile(`${authority.directory}/${name}`, content);
    return `${authority.directory}/${name}`;
  };
  const damaged = await file("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const empty = await file("empty.pem", "");
  const locked = `${authority.directory}/locked.key`;
  await run(["openssl", "pkey", "-in", agent.key, "-aes128", "-passout", "pass:x", "-out", locked]);
  const missing = `${authority.directory}/missing.pem`;
  const cases: [change: Partial<typeof DEFAULT_TLS>, parts: string[]][] = [
    [{ caCert: missing }, [`Cannot read ca_cert "${missing}"`, "must be there and readable"]],
    [{ caCert: authority.directory }, [`Cannot read ca_cert "${authority.directory}"`]],
    [{ caCert: empty }, [
      `Cannot use ca_cert "${empty}": it holds no certificate; give a file with certificates in PEM`,
    ]],
    [{ caCert: damaged }, [`Cannot use ca_cert "${damaged}": a certificate in it is damaged`]],
    [{ caCert: agent.key }, [`Cannot use ca_cert "${agent.key}": it holds no certificate`]],
    [{ clientCert: agent.cert, clientKey: missing }, [`Cannot read client_key "${missing}"`]],
    [{ clientCert: agent.cert, clientKey: empty }, [`Cannot use client_key "${empty}": it holds no key`]],
    [{ clientCert: agent.cert, clientKey: locked }, [`Cannot use client_key "${locked}": it is encrypted`]],
    [{ clientCert: agent.cert, clientKey: other.key }, [`"${other.key}" does not belong to the first certificate in`]],
  ];
  for (const [change, parts] of cases) {
    throws(() => new TlsFiles({ ...DEFAULT_TLS, ...change }).load(), (error) => {
      equal(error instanceof TlsFileError, true);
      deepEqual(parts.filter((part) => !(error as Error).message.includes(part)), [], (error as Error).message);
      equal((error as Error).message.includes("PRIVATE KEY"), false);
      return true;
    });
  }
});

Deno.test("TlsFiles.hasChanged() sees renewed files, also behind links, until they are loaded", async () => {
  await using authority = await Authority.create();
  const { directory } = authority;
  // As Kubernetes mounts a secret: the file is a link into a folder that is a link.
  for (const version of ["v1", "v2"]) {
    await Deno.mkdir(`${directory}/${version}`);
    await Deno.copyFile(authority.cert, `${directory}/${version}/ca.pem`);
  }
  const link = async (version: string) => {
    await run(["ln", "-s", `${directory}/${version}`, `${directory}/next`]);
    await Deno.rename(`${directory}/next`, `${directory}/current`);
  };
  await link("v1");
  await run(["ln", "-s", `${directory}/current/ca.pem`, `${directory}/link.pem`]);
  const files = new TlsFiles({ ...DEFAULT_TLS, caCert: `${directory}/link.pem` });
  files.load();
  equal(files.hasChanged(0), false);
  await link("v2");
  equal(files.hasChanged(1), false, "not looked at so soon");
  equal(files.hasChanged(LONG_MS), true);
  files.load();
  equal(files.hasChanged(2 * LONG_MS), false);
  await Deno.remove(`${directory}/v2/ca.pem`);
  equal(files.hasChanged(3 * LONG_MS), true);
  throws(() => files.load(), TlsFileError);
  equal(files.hasChanged(3 * LONG_MS + 1), true, "what cannot be loaded is tried again at once");
});
