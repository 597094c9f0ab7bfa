import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { AccessError } from "./access.ts";
import { findAccess } from "./kubeconfig.ts";
import { kubeconfigIo } from "../testing.ts";

const CLUSTER = { server: "https://k:6443/" };
const config = (user: unknown, cluster: unknown = CLUSTER) => ({
  "current-context": "c",
  contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
  clusters: [{ name: "k", cluster }],
  users: [{ name: "u", user }],
});
const read = (user: unknown, cluster?: unknown) =>
  findAccess("/d/config", kubeconfigIo({ "/d/config": config(user, cluster) }));

Deno.test("findAccess() reads tokens, certificates and plugins of a kubeconfig", () => {
  const base = { origin: "/d/config", server: "https://k:6443" };
  deepStrictEqual(read({ token: "t" }), { ...base, token: "t" });
  deepStrictEqual(read({ tokenFile: "t" }), { ...base, tokenFile: "/d/t" });
  deepStrictEqual(read({ username: "a", password: "b" }), { ...base, basic: { username: "a", password: "b" } });
  deepStrictEqual(
    read({ "client-certificate-data": btoa("CERT"), "client-key": "/k.pem" }, {
      ...CLUSTER,
      "certificate-authority": "ca",
    }),
    { ...base, caFile: "/d/ca", cert: "CERT", keyFile: "/k.pem" },
  );
  // Files may have a line above the certificate that says whose it is, and lines of base64 may be broken.
  deepStrictEqual(read({ token: "t" }, { ...CLUSTER, "certificate-authority-data": "R3LDts\n OfZQ==" }), {
    ...{ ...base, token: "t", ca: "Größe" },
  });
  deepStrictEqual(read({ token: "t" }, { ...CLUSTER, "proxy-url": "http://p:3128" }), {
    ...{ ...base, token: "t", proxy: "http://p:3128" },
  });
  const exec = { command: "./login", args: ["-x"], env: [{ name: "A", value: "b" }], apiVersion: "v" };
  deepStrictEqual(read({ exec }), {
    ...base,
    exec: { command: "/d/./login", args: ["-x"], env: { A: "b" }, apiVersion: "v", wantsCluster: false },
  });
});

Deno.test("findAccess() prefers the file that is named, then the pod's account, then $KUBECONFIG", () => {
  const pod = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };
  const files = { "/d/config": config({ token: "t" }) };
  const find = (path: string, variables = {}) => findAccess(path, kubeconfigIo(files, variables))?.server;
  strictEqual(find("/d/config", pod), "https://k:6443");
  strictEqual(find("", { ...pod, KUBECONFIG: "/d/config" }), "https://10.96.0.1:443");
  strictEqual(find("", { KUBECONFIG: "/d/config" }), "https://k:6443");
  strictEqual(find(""), undefined);
});

Deno.test("findAccess() joins the files of $KUBECONFIG; the first that names a thing wins", () => {
  const files = { "/a": { "current-context": "c" }, "/b": config({ token: "t" }), "/c": config({ token: "later" }) };
  strictEqual(findAccess("", kubeconfigIo(files, { KUBECONFIG: "/a:/missing:/b:/c" }))?.token, "t");
});

Deno.test("findAccess() says what it cannot use", () => {
  const cases: [unknown, unknown, RegExp][] = [
    [{ token: "t" }, { ...CLUSTER, "insecure-skip-tls-verify": true }, /give certificate-authority/],
    [{ token: "t" }, { ...CLUSTER, "proxy-url": "ftp://p" }, /proxy-url is no URL of a proxy; write for example/],
    [{ token: "t" }, { ...CLUSTER, "tls-server-name": "k" }, /give the server by a name that stands in its certif/],
    [{ token: "t" }, { server: "nowhere" }, /no URL/],
    [{ "auth-provider": {} }, CLUSTER, /use exec/],
    [{ as: "root" }, CLUSTER, /acting as another/],
    [{ "client-key-data": "-----BEGIN" }, CLUSTER, /^AccessError: .* client-key-data is no base64$/],
  ];
  for (const [user, cluster, message] of cases) throws(() => read(user, cluster), message);
  throws(() => findAccess("/none", kubeconfigIo()), AccessError);
  throws(() => findAccess("/d", kubeconfigIo({ "/d": {} })), /no current-context/);
});
