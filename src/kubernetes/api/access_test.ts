import { deepStrictEqual, rejects, strictEqual, throws } from "node:assert/strict";
import { type AccessIo, type ClusterAccess, Connection } from "./access.ts";
import { readExecCredential, runExec } from "./exec_credential.ts";

/** A server that writes down who asks, and refuses some. */
function server(accepts: (authorization: string) => boolean) {
  const seen: string[] = [];
  const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const authorization = request.headers.get("authorization") ?? "";
    seen.push(authorization);
    return new Response("{}", { status: accepts(authorization) ? 200 : 401 });
  });
  return { seen, url: `http://127.0.0.1:${http.addr.port}`, [Symbol.asyncDispose]: () => http.shutdown() };
}

/** Files and a clock of the test's own. */
function fakeIo(change: Partial<AccessIo> = {}): AccessIo & { nowMs: number; files: Record<string, string> } {
  const io: ReturnType<typeof fakeIo> = {
    nowMs: 0,
    files: {},
    readText: (path: string) =>
      path in io.files ? Promise.resolve(io.files[path]) : Promise.reject(new Deno.errors.NotFound(path)),
    runExec: () => Promise.reject(new Error("not asked for")),
    now: () => io.nowMs,
    ...change,
  };
  return io;
}

async function get(connection: Connection): Promise<number> {
  const response = await connection.get("/api", new AbortController().signal);
  await response.body?.cancel();
  return response.status;
}

const access = (server: string, more: Partial<ClusterAccess>): ClusterAccess => ({ origin: "test", server, ...more });

Deno.test("Connection reads a token file again after a minute, and at once when the token is refused", async () => {
  await using http = server((authorization) => authorization !== "Bearer old");
  const io = fakeIo();
  io.files["/token"] = "first\n";
  const connection = new Connection(access(http.url, { tokenFile: "/token" }), io);
  strictEqual(await get(connection), 200);
  io.files["/token"] = "old";
  strictEqual(await get(connection), 200);
  io.nowMs = 60_000;
  strictEqual(await get(connection), 401);
  io.files["/token"] = "new";
  strictEqual(await get(connection), 200);
  deepStrictEqual(http.seen, ["Bearer first", "Bearer first", "Bearer old", "Bearer old", "Bearer new"]);
  connection.close();
});

Deno.test("Connection shows a newer credential at once when one is refused, and does not go on for ever", async () => {
  await using http = server((authorization) => authorization === "Bearer new");
  const io = fakeIo();
  io.files["/token"] = "old";
  const connection = new Connection(access(http.url, { tokenFile: "/token" }), io);
  strictEqual(await get(connection), 401);
  io.files["/token"] = "older";
  strictEqual(await get(connection), 401);
  io.files["/token"] = "new";
  strictEqual(await get(connection), 200);
  deepStrictEqual(http.seen, ["Bearer old", "Bearer old", "Bearer older", "Bearer older", "Bearer new"]);
});

Deno.test("Connection shows a name and a password in UTF-8", async () => {
  await using http = server(() => true);
  const connection = new Connection(access(http.url, { basic: { username: "jürgen", password: "пароль€" } }), fakeIo());
  strictEqual(await get(connection), 200);
  // `printf 'jürgen:пароль€' | base64`
  deepStrictEqual(http.seen, ["Basic asO8cmdlbjrQv9Cw0YDQvtC70Yzigqw="]);
});

Deno.test("Connection goes by the proxy of the cluster to a server without TLS, too", async () => {
  const seen: string[] = [];
  await using proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    seen.push(url);
    return new Response("{}");
  });
  const way = { proxy: `http://127.0.0.1:${proxy.addr.port}` };
  const connection = new Connection(access("http://192.0.2.1:8001", way), fakeIo());
  strictEqual(await get(connection), 200);
  deepStrictEqual(seen, ["http://192.0.2.1:8001/api"]);
  connection.close();
});

Deno.test("Connection runs a plugin once for many requests, and not again at once when it fails", async () => {
  await using http = server(() => true);
  let runs = 0;
  const io = fakeIo({ runExec: () => Promise.reject(new Error(`run ${++runs}`)) });
  const exec = { command: "login", args: [], env: {}, apiVersion: "v1", wantsCluster: false };
  const connection = new Connection(access(http.url, { exec }), io);
  const all = async () => (await Promise.allSettled(Array.from({ length: 15 }, () => get(connection)))).length;
  await all();
  io.nowMs = 4999;
  await all();
  strictEqual(runs, 1);
  io.nowMs = 5000;
  await all();
  strictEqual(runs, 2);
});

Deno.test("Connection asks a plugin again shortly before its credential ends, and when that is refused", async () => {
  await using http = server((authorization) => authorization !== "Bearer 3");
  let runs = 0;
  const io = fakeIo({ runExec: () => Promise.resolve({ token: String(++runs), expiresMs: runs * 100_000 }) });
  const exec = { command: "login", args: [], env: {}, apiVersion: "v1", wantsCluster: false };
  const connection = new Connection(access(http.url, { exec }), io);
  const statuses: number[] = [];
  for (const nowMs of [0, 80_000, 95_000, 195_000, 196_000]) {
    io.nowMs = nowMs;
    statuses.push(await get(connection));
  }
  deepStrictEqual(statuses, [200, 200, 200, 200, 200]);
  deepStrictEqual(http.seen, ["Bearer 1", "Bearer 1", "Bearer 2", "Bearer 3", "Bearer 4", "Bearer 4"]);
});

Deno.test("Connection says which file or plugin it cannot use", async () => {
  const failing = (more: Partial<ClusterAccess>, io = fakeIo()) =>
    get(new Connection(access("http://127.0.0.1:1", more), io));
  await rejects(failing({ tokenFile: "/none" }), /Cannot read the token "\/none"/);
  const exec = { command: "login", args: [], env: {}, apiVersion: "v1", wantsCluster: false };
  const broken = fakeIo({ runExec: () => Promise.reject(new Error("it ended with 1")) });
  await rejects(failing({ exec }, broken), /Cannot get a credential from "login": it ended with 1/);
});

Deno.test("Connection shows nothing of a token that cannot be sent", async () => {
  for (const token of ["sec\nret", "sec\u{2026}ret"]) {
    const failing = get(new Connection(access("http://127.0.0.1:1", { token }), fakeIo()));
    await rejects(failing, { name: "AccessError", message: /^Cannot send the token: it has line breaks/ });
  }
});

Deno.test("runExec() tells the plugin what is asked and reads its answer", async () => {
  const program = `
import json, os
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
token = info["kind"] + os.environ["A"] + info["spec"].get("cluster", {}).get("server", "")
print(json.dumps({"status": {"token": token, "expirationTimestamp": "2026-01-01T00:00:00Z"}}))`;
  const plugin = { command: "python3", args: ["-c", program], env: { A: "b" }, apiVersion: "v1", wantsCluster: false };
  const cluster = { server: "https://k" };
  deepStrictEqual(await runExec(plugin, cluster), {
    ...{ token: "ExecCredentialb", certificate: undefined, key: undefined },
    expiresMs: Date.UTC(2026, 0, 1),
  });
  strictEqual((await runExec({ ...plugin, wantsCluster: true }, cluster)).token, "ExecCredentialbhttps://k");
  const authority = `
import base64, json, os
cluster = json.loads(os.environ["KUBERNETES_EXEC_INFO"])["spec"]["cluster"]
token = base64.b64decode(cluster["certificate-authority-data"]).decode()
print(json.dumps({"status": {"token": token}}))`;
  const asked = runExec({ ...plugin, args: ["-c", authority], wantsCluster: true }, { ...cluster, authority: "Größe" });
  strictEqual((await asked).token, "Größe");
});

Deno.test("runExec() says why there is no credential, and shows none", async () => {
  const run = (program: string, timeoutMs?: number) => {
    const plugin = { command: "python3", args: ["-c", program], env: {}, apiVersion: "v1", wantsCluster: false };
    return runExec(plugin, { server: "https://k" }, timeoutMs);
  };
  const failing = run("import sys; print('secret'); sys.exit('no login')");
  await rejects(failing, { message: "it ended with 1: no login" });
  await rejects(run("print('secret')"), { message: "its answer is no ExecCredential with a status" });
  const waiting = run("import time; time.sleep(600)", 100);
  await rejects(waiting, { message: "it did not end within 0.1 s; it must not ask for anything" });
  const missing = { command: "no-such-program", args: [], env: {}, apiVersion: "v1", wantsCluster: false };
  await rejects(runExec(missing, { server: "https://k" }), /there is no such program/);
});

Deno.test("runExec() does not wait for what a plugin leaves behind with its output open", async () => {
  const leave = "import subprocess; subprocess.Popen(['sleep', '5'])";
  for (const program of [leave, `${leave}; import time; time.sleep(600)`]) {
    const plugin = { command: "python3", args: ["-c", program], env: {}, apiVersion: "v1", wantsCluster: false };
    await rejects(runExec(plugin, { server: "https://k" }, 1000), /it did not end within 1 s/);
  }
});

Deno.test("readExecCredential() never shows an answer that it cannot read", () => {
  throws(() => readExecCredential("secret"), (error: Error) => !error.message.includes("secret"));
  throws(() => readExecCredential("{}"), /no ExecCredential/);
});
