/** A real API server with its etcd, alone: no controllers, no nodes. Objects are made by hand. */

import { Authority } from "../harness/certificates.ts";
import { Process, run } from "../harness/process.ts";
import { freePorts, until } from "../harness/wait.ts";

/** Built by `tools/setup cluster`; etcd is in it too. */
const PROGRAM = "kubernetes";
/** Another API server to run the tests with: see `tools/setup oldest`. */
const API_SERVER = Deno.env.get("MERMIN_API_SERVER");
const START_MS = 120_000;

export interface ApiServerOptions {
  /** More flags, such as `--watch-cache=false`. */
  flags?: readonly string[];
}

/** Users by token; the groups decide what they may do. */
export const USERS = {
  admin: { token: "admin-token", group: "system:masters" },
  agent: { token: "agent-token", group: "agents" },
} as const;

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
// deno-lint-ignore no-explicit-any
export type Any = any;

/** An API server on a free loopback port; disposing ends both programs. */
export class ApiServer implements AsyncDisposable {
  readonly url: string;
  readonly directory: string;
  readonly #command: string[];
  readonly #etcd: Process;
  #authority: Authority;
  #client: Deno.HttpClient;
  #server: Process;

  private constructor(
    url: string,
    directory: string,
    command: string[],
    etcd: Process,
    authority: Authority,
    client: Deno.HttpClient,
    readonly etcdUrl: string,
  ) {
    this.url = url;
    this.directory = directory;
    this.#command = command;
    this.#etcd = etcd;
    this.#authority = authority;
    this.#client = client;
    this.#server = Process.start(command);
  }

  /** Resolves when it is ready. */
  static async start({ flags = [] }: ApiServerOptions = {}): Promise<ApiServer> {
    const directory = await Deno.makeTempDir({ prefix: "mermin-kubernetes-" });
    const authority = await Authority.create();
    const { cert, key } = await authority.issue("kube-apiserver", "DNS:localhost,IP:127.0.0.1");
    const [etcdPort, peerPort, port] = freePorts(3);
    const [accounts, clients] = [`${directory}/accounts.key`, `${directory}/clients.pem`];
    await Deno.copyFile(authority.cert, clients);
    await run(["openssl", "genrsa", "-out", accounts, "2048"]);
    const tokens = Object.entries(USERS).map(([name, { token, group }]) => `${token},${name},${name},${group}\n`);
    await Deno.writeTextFile(`${directory}/tokens.csv`, tokens.join(""));
    const etcdUrl = `http://127.0.0.1:${etcdPort}`;
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    const etcd = Process.start([
      ...[PROGRAM, "etcd", "--unsafe-no-fsync", `--data-dir=${directory}/etcd`, "--log-level=error"],
      ...[`--listen-client-urls=${etcdUrl}`, `--advertise-client-urls=${etcdUrl}`],
      ...[`--listen-peer-urls=${peerUrl}`, `--initial-advertise-peer-urls=${peerUrl}`],
      `--initial-cluster=default=${peerUrl}`,
    ]);
    const command = [
      ...(API_SERVER === undefined ? [PROGRAM, "kube-apiserver"] : [API_SERVER]),
      ...[`--etcd-servers=${etcdUrl}`, "--bind-address=127.0.0.1", `--client-ca-file=${clients}`],
      ...["--advertise-address=192.0.2.1", `--secure-port=${port}`, `--tls-cert-file=${cert}`],
      ...[`--tls-private-key-file=${key}`, "--service-account-issuer=https://kubernetes.default.svc"],
      ...[`--service-account-key-file=${accounts}`, `--service-account-signing-key-file=${accounts}`],
      ...["--service-cluster-ip-range=10.96.0.0/16", `--token-auth-file=${directory}/tokens.csv`],
      ...["--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", ...flags],
    ];
    const client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(authority.cert)] });
    const server = new ApiServer(`https://127.0.0.1:${port}`, directory, command, etcd, authority, client, etcdUrl);
    try {
      await server.untilReady();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  get pid(): number {
    return this.#server.pid;
  }

  /** Whose certificate it has. */
  get authority(): Authority {
    return this.#authority;
  }

  get running(): boolean {
    return this.#server.running;
  }

  async untilReady(): Promise<void> {
    await until("the API server to be ready", async () => {
      const program = [this.#etcd, this.#server].find(({ running }) => !running);
      if (program) throw new Error(`A part of the API server ended:\n${program.output.slice(-3000)}`);
      try {
        const response = await this.#fetch("GET", "/readyz");
        await response.body?.cancel();
        return response.status === 200;
      } catch (error) {
        if (error instanceof TypeError) return false;
        throw error;
      }
    }, START_MS);
    await until("the default namespace", async () => (await this.#fetch("GET", "/api/v1/namespaces/default")).ok);
  }

  /** Kills it; etcd lives on. */
  async kill(): Promise<void> {
    this.#server.signal("SIGKILL");
    await this.#server.exited;
  }

  /** Lets it go on taking connections and answer nothing until it is thawed. */
  freeze(): void {
    this.#server.signal("SIGSTOP");
  }

  thaw(): void {
    this.#server.signal("SIGCONT");
  }

  /** Starts it again, on the same port and data. */
  async restart(): Promise<void> {
    this.#server = Process.start(this.#command);
    await this.untilReady();
  }

  /** Starts it again after a `kill()` with a certificate of another authority. */
  async restartWithNewAuthority(): Promise<void> {
    const authority = await Authority.create();
    const { cert, key } = await authority.issue("kube-apiserver", "DNS:localhost,IP:127.0.0.1");
    const flags = { "--tls-cert-file=": cert, "--tls-private-key-file=": key };
    for (const [flag, path] of Object.entries(flags)) {
      this.#command[this.#command.findIndex((word) => word.startsWith(flag))] = flag + path;
    }
    this.#client.close();
    this.#client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(authority.cert)] });
    await this.#authority[Symbol.asyncDispose]();
    this.#authority = authority;
    await this.restart();
  }

  /** Makes etcd forget all versions up to now, and starts the server anew, whose memory is as short then. */
  async forget(): Promise<void> {
    const { metadata } = await this.request("GET", "/api/v1/namespaces");
    const body = JSON.stringify({ revision: metadata.resourceVersion, physical: true });
    const response = await fetch(`${this.etcdUrl}/v3/kv/compaction`, { method: "POST", body });
    if (!response.ok) throw new Error(`etcd does not forget: ${await response.text()}`);
    await response.body?.cancel();
    await this.kill();
    await this.restart();
  }

  /** Lets a group, and the user of that name, list and watch these kinds of objects, and nothing else. */
  async allow(group: string, resources: readonly string[]): Promise<void> {
    const roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    const rules = [{ apiGroups: ["*"], resources, verbs: ["get", "list", "watch"] }];
    const known = (await this.request("GET", roles)).items.some((role: Any) => role.metadata.name === group);
    if (known) {
      await this.patch(`${roles}/${group}`, { rules });
      return;
    }
    await this.create(roles, { metadata: { name: group }, rules });
    await this.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
      metadata: { name: group },
      subjects: ["Group", "User"].map((kind) => ({ kind, name: group, apiGroup: "rbac.authorization.k8s.io" })),
      roleRef: { kind: "ClusterRole", name: group, apiGroup: "rbac.authorization.k8s.io" },
    });
  }

  /** Path of a kubeconfig of a user; `url` is another way to the server. */
  kubeconfig(user: keyof typeof USERS = "admin", url = this.url): Promise<string> {
    return this.kubeconfigOf(user, USERS[user].token, url);
  }

  /** As `kubeconfig()`, of whoever has that token. */
  async kubeconfigOf(user: string, token: string, url = this.url): Promise<string> {
    const path = `${this.directory}/${user}.kubeconfig`;
    const cluster = { server: url, "certificate-authority": this.#authority.cert };
    await Deno.writeTextFile(
      path,
      // YAML is a superset of JSON.
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        "current-context": "test",
        contexts: [{ name: "test", context: { cluster: "test", user } }],
        clusters: [{ name: "test", cluster }],
        users: [{ name: user, user: { token } }],
      }),
    );
    return path;
  }

  /** Makes an object and returns it as the server has it; a `status` goes to where the server takes it. */
  async create(collection: string, object: Any): Promise<Any> {
    const made = await this.request("POST", collection, object);
    if (object.status === undefined) return made;
    return await this.patch(`${collection}/${made.metadata.name}/status`, { status: object.status });
  }

  /** Merges `change` into the object at `path`. */
  patch(path: string, change: Any): Promise<Any> {
    return this.request("PATCH", path, change);
  }

  /** Deletes at once, as a kubelet does after the last container has ended. */
  async delete(path: string): Promise<void> {
    await this.request("DELETE", path, { kind: "DeleteOptions", apiVersion: "v1", gracePeriodSeconds: 0 });
  }

  /** @throws {Error} with what the server says, when it says no */
  async request(method: Method, path: string, body?: Any): Promise<Any> {
    const response = await this.#fetch(method, path, body);
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${answer.message}`);
    return answer;
  }

  /** The body at `path`, as it comes. @throws {Error} with what the server says, when it says no */
  async stream(path: string, accept = "application/json"): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#fetch("GET", path, undefined, accept);
    if (!response.ok || !response.body) throw new Error(`GET ${path}: ${await response.text()}`);
    return response.body;
  }

  #fetch(method: Method, path: string, body?: Any, accept = "application/json"): Promise<Response> {
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    return fetch(this.url + path, {
      client: this.#client,
      method,
      headers: { accept, authorization: `Bearer ${USERS.admin.token}`, "content-type": type },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    await this.#server[Symbol.asyncDispose]();
    await this.#etcd[Symbol.asyncDispose]();
    await this.#authority[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }
}
