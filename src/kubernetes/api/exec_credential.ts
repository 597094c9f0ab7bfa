/** Credentials from a plugin (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins). */

import type { ExecPlugin } from "./access.ts";
import { textOf } from "../../body.ts";

export interface ExecCredential {
  readonly token?: string;
  /** PEM. */
  readonly certificate?: string;
  readonly key?: string;
  /** Milliseconds since the epoch. */
  readonly expiresMs?: number;
}

/** What a plugin is told about the cluster, if it wants to know. */
export interface ExecCluster {
  readonly server: string;
  /** PEM. */
  readonly authority?: string;
  readonly proxy?: string;
}

const MISSING = "there is no such program; install it, or use a kubeconfig with a token or a certificate";
/** A plugin may ask a distant service; one that asks a person would wait for ever. */
const RUN_MS = 60_000;

/** @throws {Error} when the plugin cannot be run, fails, does not end, or answers with something else */
export async function runExec(plugin: ExecPlugin, cluster: ExecCluster, timeoutMs = RUN_MS): Promise<ExecCredential> {
  const { command, args, env } = plugin;
  const info = JSON.stringify(execInfo(plugin, cluster));
  let child: Deno.ChildProcess;
  try {
    const options = { args: [...args], env: { ...env, KUBERNETES_EXEC_INFO: info } };
    child = new Deno.Command(command, { ...options, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
  } catch (error) {
    throw error instanceof Deno.errors.NotFound ? new Error(MISSING) : error;
  }
  let hasEnded = false;
  const status = child.status.finally(() => hasEnded = true);
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new Error(`it did not end within ${timeoutMs / 1000} s; it must not ask for anything`));
    if (!hasEnded) child.kill("SIGKILL");
  }, timeoutMs);
  // What it has started may outlive it, and keep its output open.
  const outputs = [textOf(child.stdout, late.signal), textOf(child.stderr, late.signal)];
  const [{ code }, stdout, stderr] = await Promise.all([status, ...outputs] as const).finally(() =>
    clearTimeout(timer)
  );
  // What it says of a credential stands on its standard output, which is never shown.
  if (code !== 0) throw new Error(`it ended with ${code}: ${stderr.trim().slice(0, 300)}`);
  return readExecCredential(stdout);
}

function execInfo({ apiVersion, wantsCluster }: ExecPlugin, { server, authority, proxy }: ExecCluster): unknown {
  const cluster = {
    server,
    ...(authority === undefined
      ? {}
      : { "certificate-authority-data": new TextEncoder().encode(authority).toBase64() }),
    ...(proxy === undefined ? {} : { "proxy-url": proxy }),
  };
  return {
    ...{ apiVersion, kind: "ExecCredential" },
    spec: { interactive: false, ...(wantsCluster ? { cluster } : {}) },
  };
}

/** @throws {Error} when `text` is no `ExecCredential` with a status */
export function readExecCredential(text: string): ExecCredential {
  let status: Record<string, unknown> | undefined;
  try {
    status = JSON.parse(text)?.status;
  } catch {
    // The answer may hold a secret, so it is not shown.
  }
  if (!status) throw new Error("its answer is no ExecCredential with a status");
  const part = (name: string) => typeof status[name] === "string" ? status[name] : undefined;
  const expires = Date.parse(part("expirationTimestamp") ?? "");
  return {
    token: part("token"),
    certificate: part("clientCertificateData"),
    key: part("clientKeyData"),
    expiresMs: Number.isNaN(expires) ? undefined : expires,
  };
}
