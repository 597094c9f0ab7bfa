/** Every way to prove who one is, and every way to get there, with a real API server; credentials are replaced meanwhile. */

import assert from "node:assert/strict";
import { type ClusterAccess, Connection } from "../../src/kubernetes/api/access.ts";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Network } from "../harness/netns.ts";
import { until } from "../harness/wait.ts";
import { type Any, ApiServer, USERS } from "./api_server.ts";
import { Informers, readAccess, selector } from "./informers.ts";
import { PODS } from "./objects.ts";
import { ConnectProxy, Proxy } from "./proxy.ts";

const CLUSTER = { name: "test" };
const AGENT = { token: USERS.agent.token };
const SECRET = "a-secret-that-nobody-may-see";

/** Writes a kubeconfig and returns its path; what is left out is left out there too. */
async function write(server: ApiServer, name: string, parts: Any): Promise<string> {
  const path = `${server.directory}/${name}`;
  const contexts = [{ name: "test", context: { cluster: "test", user: "test" } }];
  await Deno.writeTextFile(path, JSON.stringify({ apiVersion: "v1", kind: "Config", contexts, ...parts }));
  return path;
}

async function kubeconfig(server: ApiServer, user: Any, cluster: Any = {}): Promise<string> {
  const authority = cluster.server?.includes("://") ? {} : { "certificate-authority": server.authority.cert };
  return await write(server, `${crypto.randomUUID()}.kubeconfig`, {
    ...{ "current-context": "test", users: [{ name: "test", user }] },
    clusters: [{ ...CLUSTER, cluster: { server: server.url, ...authority, ...cluster } }],
  });
}

/** A plugin for credentials: a program that notes its run in a file first. */
function plugin(runs: string, program: string): Any {
  const whole = `open("${runs}", "a").write("x")\n${program}`;
  const apiVersion = "client.authentication.k8s.io/v1";
  return { apiVersion, command: "python3", args: ["-c", whole], interactiveMode: "Never" };
}

/** The line of a plugin that gives `status`. */
const says = (status: Any) => `print(${JSON.stringify(JSON.stringify({ kind: "ExecCredential", status }))})`;

async function ask(access: ClusterAccess): Promise<number | string> {
  const connection = new Connection(access);
  try {
    const response = await connection.get(`${PODS}?limit=1`, new AbortController().signal);
    await response.body?.cancel();
    return response.status;
  } catch (error) {
    return `${(error as Error).message} ${(error as Error).cause ?? ""}`;
  } finally {
    connection.close();
  }
}

/** An account of a pod: its token and the authority, as files that are replaced. */
async function account(server: ApiServer): Promise<{ access: ClusterAccess; renew(): Promise<void> }> {
  const accounts = "/api/v1/namespaces/default/serviceaccounts";
  const [tokenFile, caFile] = [`${server.directory}/token`, `${server.directory}/ca.crt`];
  const renew = async () => {
    const spec = { audiences: ["https://kubernetes.default.svc"], expirationSeconds: 600 };
    const { status } = await server.request("POST", `${accounts}/agents/token`, { spec });
    await Deno.writeTextFile(tokenFile, status.token);
  };
  await server.create(accounts, { metadata: { name: "agents" } });
  await Deno.copyFile(server.authority.cert, caFile);
  await renew();
  return { access: { origin: "the pod's service account", server: server.url, caFile, tokenFile }, renew };
}

const createPods = (server: ApiServer, ...names: string[]) =>
  Promise.all(
    names.map((name) => server.create(PODS, { metadata: { name }, spec: { containers: [{ name: "c", image: "i" }] } })),
  );

Deno.test("a kubeconfig: every form of credentials and authorities", async () => {
  await using server = await ApiServer.start();
  await server.allow("agents", ["pods"]);
  await server.allow("agent", ["pods"]);
  const { authority, directory } = server;
  const { cert, key } = await authority.issue("agent", "DNS:agent");
  await Deno.writeTextFile(`${directory}/agent.token`, `${USERS.agent.token}\n`);
  const [ca, certificate, privateKey] = await Promise.all([authority.cert, cert, key].map((p) => Deno.readTextFile(p)));
  const runs = `${directory}/runs`;
  const proof = { clientCertificateData: certificate, clientKeyData: privateKey };
  const inAMinute = { token: USERS.agent.token, expirationTimestamp: new Date(Date.now() + 60_000).toISOString() };
  const forms: [what: string, user: Any, expected: number | RegExp, cluster?: Any][] = [
    ["a token", AGENT, 200],
    ["the file of a token beside the kubeconfig", { tokenFile: "agent.token" }, 200],
    ["a wrong token", { token: "wrong" }, 401],
    ["nobody", {}, 403],
    ["files of a certificate", { "client-certificate": cert, "client-key": key }, 200],
    [
      "data of a certificate",
      { "client-certificate-data": btoa(certificate), "client-key-data": btoa(privateKey) },
      200,
    ],
    ["a plugin with a token", { exec: plugin(runs, says(inAMinute)) }, 200],
    ["a plugin with a certificate", { exec: plugin(runs, says(proof)) }, 200],
    ["a plugin that fails", { exec: plugin(runs, `${says({ token: SECRET })}\nexit("log in first")`) }, /log in first/],
    ["data of the authority", AGENT, 200, {
      "certificate-authority": undefined,
      "certificate-authority-data": btoa(ca),
    }],
    ["no authority", AGENT, /certificate/, { "certificate-authority": undefined }],
  ];
  for (const [what, user, expected, cluster = {}] of forms) {
    const answer = await ask(
      readAccess(await kubeconfig(server, user, { "certificate-authority": authority.cert, ...cluster })),
    );
    if (expected instanceof RegExp) assert.match(String(answer), expected, what);
    else assert.equal(answer, expected, what);
    assert.doesNotMatch(String(answer), new RegExp(SECRET), what);
  }

  const context = (user: string) => ({ name: user, context: { cluster: "test", user } });
  const names = { contexts: [context("nobody"), context("agent")], "current-context": "agent" };
  const users = [{ name: "nobody", user: {} }, { name: "agent", user: AGENT }];
  const cluster = { server: server.url, "certificate-authority": authority.cert };
  const paths = await Promise.all([
    write(server, "contexts", names),
    Promise.resolve(`${directory}/missing`),
    write(server, "users", { users, contexts: [] }),
    write(server, "clusters", { clusters: [{ ...CLUSTER, cluster }], "current-context": "nobody" }),
  ]);
  assert.equal(await ask(readAccess(paths.join(":"))), 200, "$KUBECONFIG with several paths, and several contexts");
});

Deno.test("a plugin runs once for all kinds, again before its credential ends, and what it says stays secret", async () => {
  await using server = await ApiServer.start();
  await using proxy = new Proxy(server.url);
  await server.allow("agents", ["*"]);
  const runs = `${server.directory}/runs`;
  const count = () => Deno.readTextFile(runs).then((text) => text.length, () => 0);
  const file = `${server.directory}/token`;
  const seconds = `${server.directory}/seconds`;
  const program = `import datetime, json
end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=int(open("${seconds}").read()))
status = {"token": open("${file}").read(), "expirationTimestamp": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
print(json.dumps({"status": status}))`;
  const exec = plugin(runs, program);
  exec.env = [{ name: "PASSWORD", value: SECRET }];
  await Deno.writeTextFile(file, USERS.agent.token);
  const access = readAccess(
    await kubeconfig(server, { exec }, {
      server: proxy.url,
      "certificate-authority": server.authority.cert,
    }),
  );
  await Deno.writeTextFile(seconds, "3600");
  {
    await using all = await Informers.start(access);
    assert.deepEqual(all.cluster.state, { ok: true });
    assert.equal(await count(), 1);
  }
  // It is run again ten seconds before its credential ends, which is after five.
  await Deno.writeTextFile(seconds, "15");
  await using informers = await Informers.start(access, { selectors: [selector("Pod")] });
  const hasFailed = () => informers.events().some((event) => event.startsWith("k8s_watch_failed"));
  /** Makes a new request, and waits for what came of it. */
  const ask = async () => {
    const before = informers.count("Pod");
    proxy.cut();
    await createPods(server, crypto.randomUUID());
    await until("the pod, or a failure", () => informers.count("Pod") > before || hasFailed());
  };
  while (await count() < 3) await ask();
  // From now on it fails.
  await Deno.remove(file);
  while (!hasFailed()) await ask();
  const line = informers.lines.find(({ event }) => event === "k8s_watch_failed")!;
  assert.match(line.message, /Cannot get a credential from "python3": it ended with 1: .*No such file/s);
  assert.doesNotMatch(JSON.stringify(informers.lines), new RegExp(`${SECRET}|${USERS.agent.token}`));
  await Deno.writeTextFile(file, USERS.agent.token);
  await until("the recovery", () => informers.events().at(-1) === "k8s_recovered");
});

Deno.test("a pod's account: a token that is refused is read anew, in silence if it can be", async () => {
  await using server = await ApiServer.start();
  await using proxy = new Proxy(server.url);
  await server.allow("system:serviceaccounts", ["pods", "namespaces"]);
  const { access, renew } = await account(server);
  const selectors = [selector("Pod"), selector("Namespace")];
  await using informers = await Informers.start({ ...access, server: proxy.url }, { selectors });
  assert.deepEqual(informers.cluster.state, { ok: true });
  const old = await Deno.readTextFile(access.tokenFile!);
  const accounts = "/api/v1/namespaces/default/serviceaccounts";
  /** Tokens end with their account; the server may remember them for some seconds. */
  const revoke = async () => {
    const token = await Deno.readTextFile(access.tokenFile!);
    await server.delete(`${accounts}/agents`);
    await server.create(accounts, { metadata: { name: "agents" } });
    await until("the token to be refused", async () => await ask({ ...access, tokenFile: undefined, token }) === 401);
  };

  await revoke();
  await renew();
  assert.notEqual(await Deno.readTextFile(access.tokenFile!), old);
  proxy.cut();
  await createPods(server, "a");
  await informers.untilCount("Pod", 1);
  assert.deepEqual(informers.events(), ["k8s_watching"]);

  await revoke();
  proxy.cut();
  await until("a line", () => informers.lines.length > 1);
  assert.match(
    informers.lines[1].message,
    /^cannot watch .*: the server refuses who we are \(the pod's service account\)/,
  );
  await createPods(server, "b");
  assert.equal(informers.count("Pod"), 1);
  await renew();
  await informers.untilCount("Pod", 2);
  await until("the recovery", () => informers.lines.length > 2);
  const events = informers.lines.map(({ event }) => event);
  assert.deepEqual(events, ["k8s_watching", "k8s_watch_failed", "k8s_recovered"]);
});

Deno.test("a pod's account: an authority that is replaced", async () => {
  await using server = await ApiServer.start();
  await server.allow("system:serviceaccounts", ["pods", "namespaces"]);
  const { access } = await account(server);
  await using informers = await Informers.start(access, { selectors: [selector("Pod")] });
  assert.deepEqual(informers.cluster.state, { ok: true });
  await server.kill();
  await server.restartWithNewAuthority();
  await createPods(server, "a");
  await until("a line", () => informers.lines.length > 1);
  assert.equal(informers.count("Pod"), 0);
  // As the kubelet does it: the new authority beside the old one first.
  await Deno.copyFile(server.authority.cert, access.caFile!);
  await informers.untilCount("Pod", 1);
  assert.deepEqual(informers.events(), ["k8s_watching", "k8s_watch_failed Pod", "k8s_recovered"]);
});

Deno.test("proxies: that of the kubeconfig, and HTTPS_PROXY with NO_PROXY", async () => {
  await prepareBpffs();
  await using server = await ApiServer.start();
  await using proxy = new ConnectProxy();
  await using network = await Network.create();
  const target = new URL(server.url).host;
  const plain = await server.kubeconfig();
  const own = await kubeconfig(server, { token: USERS.admin.token }, { "proxy-url": proxy.url });
  const elsewhere = "10.0.0.0/8,.svc";
  const cases: [what: string, path: string, env: Record<string, string>, expected: string[]][] = [
    ["proxy-url", own, {}, [target]],
    ["HTTPS_PROXY", plain, { HTTPS_PROXY: proxy.url, NO_PROXY: elsewhere }, [target]],
    ["NO_PROXY", plain, { HTTPS_PROXY: proxy.url, NO_PROXY: `127.0.0.0/8,${elsewhere}` }, []],
    ["HTTP_PROXY, which is not for it", plain, { HTTP_PROXY: proxy.url }, []],
  ];
  for (const [what, path, env, expected] of cases) {
    proxy.asked.length = 0;
    await using instance = new Instance();
    const extra = `discovery "informer" "k8s" { kubeconfig_path = "${path}" }`;
    await using agent = await Agent.start({ watch: watch(network.left), extra }, { instance: instance.name, env });
    assert.deepEqual([...new Set(proxy.asked)], expected, `${what}\n${agent.process.output}`);
    // A watch for each kind, and one connection for all.
    assert.ok(proxy.asked.length <= 2, `${proxy.asked.length} connections`);
    assert.ok((await agent.metrics()).sum(/^mermin_k8s_addresses$/) > 0, what);
    assert.equal(await agent.stop(), 0, agent.process.output);
  }
});

Deno.test("an agent is ready when it knows the cluster, and says before what it waits for", async () => {
  await prepareBpffs();
  await using server = await ApiServer.start();
  await using proxy = new Proxy(server.url);
  await using network = await Network.create();
  await using instance = new Instance();
  const authority = { "certificate-authority": server.authority.cert };
  const path = await kubeconfig(server, { token: USERS.admin.token }, { server: proxy.url, ...authority });
  const extra = `discovery "informer" "k8s" { kubeconfig_path = "${path}" }`;
  proxy.isOpen = false;
  await using agent = await Agent.launch({ watch: watch(network.left), extra }, { instance: instance.name });
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${agent.apiPort}/readyz`);
    return { code: response.status, check: (await response.json()).checks.kubernetes };
  };
  await until("a check of the cluster", async () => await agent.probe("/livez") === 200 && (await ask()).check);
  const detail = "the API server has not answered yet";
  assert.deepEqual(await ask(), { code: 503, check: { status: "unavailable", detail } });
  proxy.isOpen = true;
  await agent.untilReady();
  assert.deepEqual(await ask(), { code: 200, check: { status: "ok" } });
  assert.equal(await agent.stop(), 0, agent.process.output);
});
