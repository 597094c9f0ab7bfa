/** How the API server is reached, and as whom. */

import { type ExecCluster, type ExecCredential, runExec } from "./exec_credential.ts";

/** A credential or certificate that cannot be used; the text says what to do. */
export class AccessError extends Error {
  override readonly name = "AccessError";
}

/** Plugin that gives credentials (client.authentication.k8s.io). */
export interface ExecPlugin {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly apiVersion: string;
  /** It wants to be told about the cluster. */
  readonly wantsCluster: boolean;
}

/** Where the API server is and who we are, from a kubeconfig or the pod's own account. PEM is text. */
export interface ClusterAccess {
  /** For the log: the file, or `the pod's service account`. */
  readonly origin: string;
  /** URL without a slash at the end. */
  readonly server: string;
  readonly ca?: string;
  readonly caFile?: string;
  readonly cert?: string;
  readonly certFile?: string;
  readonly key?: string;
  readonly keyFile?: string;
  readonly token?: string;
  /** Read again and again: it is rotated. */
  readonly tokenFile?: string;
  readonly basic?: { readonly username: string; readonly password: string };
  readonly exec?: ExecPlugin;
  /** URL of the proxy of this cluster. */
  readonly proxy?: string;
}

/** What `Connection` uses of the system. */
export interface AccessIo {
  readText(path: string): Promise<string>;
  runExec(plugin: ExecPlugin, cluster: ExecCluster): Promise<ExecCredential>;
  now(): number;
}

const systemIo: AccessIo = { readText: (path) => Deno.readTextFile(path), runExec, now: Date.now };

/** As client-go does; a token lives for an hour and is renewed long before. */
const TOKEN_KEPT_MS = 60_000;
/** A credential is renewed so long before its end. */
const EXPIRY_MARGIN_MS = 10_000;
/** A plugin is not run again sooner, however often it fails. */
const EXEC_PAUSE_MS = 5000;

/** What a request shows of itself, and what it believes. PEM is text. */
interface Proof {
  readonly authorization?: string;
  readonly authority?: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly run?: ExecRun;
}

/** One run of the plugin, which serves all requests until then. */
interface ExecRun {
  readonly credential: Promise<ExecCredential>;
  untilMs: number;
}

/** Sends requests to the API server, with whatever proves who we are at that moment. */
export class Connection {
  readonly #access: ClusterAccess;
  readonly #io: AccessIo;
  #token: { value: string; untilMs: number } | undefined;
  #client: { value: Deno.HttpClient; pem: string; sinceMs: number } | undefined;
  #run: ExecRun | undefined;

  constructor(access: ClusterAccess, io: AccessIo = systemIo) {
    this.#access = access;
    this.#io = io;
  }

  get origin(): string {
    return this.#access.origin;
  }

  get server(): string {
    return this.#access.server;
  }

  /**
   * GET of a path of the API, such as `/api/v1/pods?limit=500`. When the server refuses the credential (401) and there is a
   * newer one, that is tried at once.
   *
   * @throws {AccessError} about credentials, `TypeError` about the network, `DOMException` when aborted
   */
  async get(path: string, signal: AbortSignal, accept = "application/json"): Promise<Response> {
    const proof = await this.#proof();
    const response = await this.#send(path, proof, signal, accept);
    if (response.status !== 401) return response;
    this.#forget(proof);
    const fresh = await this.#proof();
    if (fresh.authorization === proof.authorization && fresh.certificate === proof.certificate) return response;
    await response.body?.cancel();
    return await this.#send(path, fresh, signal, accept);
  }

  /** A request that began at `startMs` got no answer: later ones use a new connection, if theirs is not newer anyway. */
  renew(startMs: number): void {
    if (this.#client && this.#client.sinceMs <= startMs) this.close();
  }

  /** Requests under way go on. */
  close(): void {
    this.#client?.value.close();
    this.#client = undefined;
  }

  async #send(path: string, proof: Proof, signal: AbortSignal, accept: string): Promise<Response> {
    const { server, proxy } = this.#access;
    const headers: Record<string, string> = { accept };
    if (proof.authorization !== undefined) headers.authorization = proof.authorization;
    const client = server.startsWith("https:") || proxy !== undefined ? this.#httpClient(proof) : undefined;
    try {
      return await fetch(server + path, { client, headers, signal, redirect: "error" });
    } catch (error) {
      // "fetch failed" alone helps nobody.
      throw error instanceof TypeError && error.cause instanceof Error ? new TypeError(error.cause.message) : error;
    }
  }

  async #proof(): Promise<Proof> {
    const { ca, caFile, cert, certFile, key, keyFile } = this.#access;
    const run = this.#currentRun();
    const credential = await run?.credential;
    const read = async (what: string, text?: string, path?: string) =>
      text ?? (path === undefined ? undefined : await this.#read(what, path));
    return {
      authorization: sendable(await this.#authorization(credential)),
      authority: await read("certificate authority", ca, caFile),
      certificate: credential?.certificate ?? await read("client certificate", cert, certFile),
      key: credential?.key ?? await read("client key", key, keyFile),
      run,
    };
  }

  /** What was refused is made anew, unless that has happened meanwhile. */
  #forget({ authorization, run }: Proof): void {
    if (authorization === `Bearer ${this.#token?.value}`) this.#token = undefined;
    if (this.#run === run) this.#run = undefined;
  }

  #currentRun(): ExecRun | undefined {
    const { exec } = this.#access;
    if (!exec || this.#run && this.#run.untilMs > this.#io.now()) return this.#run;
    const run: ExecRun = this.#run = { credential: this.#runExec(exec), untilMs: Infinity };
    const pause = () => this.#io.now() + EXEC_PAUSE_MS;
    run.credential.then(
      ({ expiresMs = Infinity }) => run.untilMs = Math.max(expiresMs - EXPIRY_MARGIN_MS, pause()),
      () => run.untilMs = pause(),
    );
    return run;
  }

  async #runExec(exec: ExecPlugin): Promise<ExecCredential> {
    const { server, ca, caFile, proxy } = this.#access;
    const authority = exec.wantsCluster && caFile ? await this.#read("certificate authority", caFile) : ca;
    try {
      return await this.#io.runExec(exec, { server, authority, proxy });
    } catch (error) {
      throw new AccessError(`Cannot get a credential from "${exec.command}": ${(error as Error).message}`);
    }
  }

  async #authorization(credential: ExecCredential | undefined): Promise<string | undefined> {
    const { token, tokenFile, basic } = this.#access;
    if (credential?.token !== undefined) return `Bearer ${credential.token}`;
    if (tokenFile !== undefined) return `Bearer ${await this.#fileToken(tokenFile)}`;
    if (token !== undefined) return `Bearer ${token}`;
    if (basic) return `Basic ${new TextEncoder().encode(`${basic.username}:${basic.password}`).toBase64()}`;
    return undefined;
  }

  async #fileToken(path: string): Promise<string> {
    const nowMs = this.#io.now();
    if (this.#token && nowMs < this.#token.untilMs) return this.#token.value;
    const value = (await this.#read("token", path)).trim();
    this.#token = { value, untilMs: nowMs + TOKEN_KEPT_MS };
    return value;
  }

  /** A client with the certificates of now: one of files that have changed is another client. */
  #httpClient({ authority, certificate, key }: Proof): Deno.HttpClient {
    const pem = JSON.stringify([authority, certificate, key]);
    if (this.#client?.pem !== pem) {
      const value = createClient({ authority, certificate, key }, this.#access.proxy);
      this.close();
      this.#client = { value, pem, sinceMs: performance.now() };
    }
    return this.#client!.value;
  }

  async #read(what: string, path: string): Promise<string> {
    try {
      return await this.#io.readText(path);
    } catch (error) {
      throw new AccessError(`Cannot read the ${what} "${path}": ${(error as Error).message}`);
    }
  }
}

/** @throws {AccessError} for what no header can hold; `fetch` would show it */
function sendable(authorization: string | undefined): string | undefined {
  if (authorization === undefined || /^[\x20-\x7e]*\s*$/.test(authorization)) return authorization;
  throw new AccessError(
    "Cannot send the token: it has line breaks or other characters that no token has; copy it anew",
  );
}

/** Without `proxy`, `HTTPS_PROXY` and `NO_PROXY` hold, as for every client of Kubernetes. */
function createClient({ authority, certificate, key }: Proof, proxy: string | undefined): Deno.HttpClient {
  const own = certificate === undefined || key === undefined ? {} : { cert: certificate, key };
  const way = proxy === undefined ? {} : { proxy: { url: proxy } };
  try {
    return Deno.createHttpClient({ caCerts: authority === undefined ? [] : [authority], ...own, ...way });
  } catch (error) {
    throw new AccessError(`Cannot use the certificates of the cluster: ${(error as Error).message}`);
  }
}
