/** Reads kubeconfig files and the account of a pod. */

import { AccessError, type ClusterAccess, type ExecPlugin } from "./access.ts";

export const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** What is read of the system. */
export interface KubeconfigIo {
  env(name: string): string | undefined;
  /** @throws {Deno.errors.NotFound} and other errors of files */
  readText(path: string): string;
  /** @throws {Error} when it is not YAML */
  parseYaml(text: string): unknown;
}

type Part = { readonly [name: string]: unknown };

/**
 * The access that is configured: `path` if it is given, else the pod's own account, else `$KUBECONFIG`, else none.
 * @throws {AccessError} when there is one and it cannot be used
 */
export function findAccess(path: string, io: KubeconfigIo): ClusterAccess | undefined {
  if (path !== "") return readKubeconfig([path], io);
  const inCluster = podAccess(io);
  if (inCluster) return inCluster;
  const paths = kubeconfigPaths("", io.env("KUBECONFIG"));
  return paths.length === 0 ? undefined : readKubeconfig(paths, io);
}

/** Files that may be read as kubeconfig. */
export function kubeconfigPaths(path: string, variable: string | undefined): string[] {
  return path !== "" ? [path] : (variable ?? "").split(":").filter((file) => file !== "");
}

/** The API server as every pod is told of it. */
function podAccess(io: KubeconfigIo): ClusterAccess | undefined {
  const host = io.env("KUBERNETES_SERVICE_HOST");
  const port = io.env("KUBERNETES_SERVICE_PORT");
  if (!host || !port) return undefined;
  return {
    origin: "the pod's service account",
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    caFile: `${SERVICE_ACCOUNT}/ca.crt`,
    tokenFile: `${SERVICE_ACCOUNT}/token`,
  };
}

/** Of several files the first that names a thing wins, as kubectl has it. */
function readKubeconfig(paths: readonly string[], io: KubeconfigIo): ClusterAccess {
  const origin = paths.join(":");
  const unusable = (why: string) => new AccessError(`Cannot use the kubeconfig "${origin}": ${why}`);
  const files = paths.flatMap((path) => {
    try {
      return [{ path, root: part(io.parseYaml(io.readText(path))) }];
    } catch (error) {
      // Of several files some may be missing, as kubectl has it.
      if (error instanceof Deno.errors.NotFound && paths.length > 1) return [];
      throw unusable((error as Error).message);
    }
  });
  const find = (list: string, name: string, field: string) => {
    for (const { path, root } of files) {
      const found = parts(root[list]).find((item) => item.name === name);
      if (found) return { path, value: part(found[field]) };
    }
    throw unusable(`it has no ${field} "${name}"`);
  };
  const current = files.map(({ root }) => text(root["current-context"])).find((name) => name);
  if (current === undefined) throw unusable("it has no current-context; choose one with kubectl config use-context");
  const context = find("contexts", current, "context").value;
  const cluster = find("clusters", text(context.cluster) ?? "", "cluster");
  const user = find("users", text(context.user) ?? "", "user");
  const refused = refusal(cluster.value, user.value);
  if (refused) throw unusable(refused);
  const server = text(cluster.value.server)!.replace(/\/+$/, "");
  return { origin, server, ...authority(cluster), ...identity(user) };
}

/** What cannot be honoured is refused, never left out. */
function refusal(cluster: Part, user: Part): string | undefined {
  if (!URL.canParse(text(cluster.server) ?? "")) return "the server of its cluster is no URL";
  if (cluster["insecure-skip-tls-verify"] === true) {
    return "insecure-skip-tls-verify is not supported; give certificate-authority";
  }
  if (text(cluster["tls-server-name"])) {
    return "tls-server-name is not supported; give the server by a name that stands in its certificate";
  }
  const proxy = text(cluster["proxy-url"]);
  if (proxy && !/^(https?|socks5h?):$/.test(URL.parse(proxy)?.protocol ?? "")) {
    return "proxy-url is no URL of a proxy; write for example http://proxy:3128";
  }
  if (user["auth-provider"]) return "auth-provider is not supported, Kubernetes has removed it; use exec";
  for (const name of ["as", "as-uid", "as-groups"]) {
    if (user[name]) return `${name} (acting as another) is not supported`;
  }
  return undefined;
}

function authority({ path, value }: { path: string; value: Part }): Partial<ClusterAccess> {
  const proxy = text(value["proxy-url"]);
  return { ...pem(value, "certificate-authority", path, "ca", "caFile"), ...(proxy ? { proxy } : {}) };
}

function identity({ path, value }: { path: string; value: Part }): Partial<ClusterAccess> {
  const [username, password] = [text(value.username), text(value.password)];
  const tokenFile = text(value.tokenFile);
  return {
    ...pem(value, "client-certificate", path, "cert", "certFile"),
    ...pem(value, "client-key", path, "key", "keyFile"),
    ...(text(value.token) ? { token: text(value.token) } : {}),
    ...(tokenFile ? { tokenFile: beside(path, tokenFile) } : {}),
    ...(username !== undefined && password !== undefined ? { basic: { username, password } } : {}),
    ...(value.exec ? { exec: execPlugin(part(value.exec), path) } : {}),
  };
}

/** `<name>-data` in base64, or `<name>` as the path of a file. */
function pem(value: Part, name: string, path: string, asText: string, asFile: string): Partial<ClusterAccess> {
  const data = text(value[`${name}-data`]);
  if (data) return { [asText]: decoded(data, `${name}-data`, path) };
  const file = text(value[name]);
  return file ? { [asFile]: beside(path, file) } : {};
}

function decoded(data: string, name: string, path: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(data));
  } catch {
    throw new AccessError(`Cannot use the kubeconfig "${path}": ${name} is no base64`); // It may be a key: not shown.
  }
}

function execPlugin(value: Part, path: string): ExecPlugin {
  const command = text(value.command) ?? "";
  const env = parts(value.env).map((variable) => [text(variable.name) ?? "", text(variable.value) ?? ""]);
  return {
    // With a slash it stands beside the kubeconfig, else it is looked for in $PATH.
    command: command.includes("/") ? beside(path, command) : command,
    args: Array.isArray(value.args) ? value.args.map(String) : [],
    env: Object.fromEntries(env),
    apiVersion: text(value.apiVersion) ?? "client.authentication.k8s.io/v1",
    wantsCluster: value.provideClusterInfo === true,
  };
}

/** Paths in a kubeconfig start at its own folder. */
function beside(kubeconfig: string, path: string): string {
  if (path.startsWith("/")) return path;
  const folder = kubeconfig.replace(/[^/]*$/, "");
  return `${folder}${path}`;
}

function part(value: unknown): Part {
  return typeof value === "object" && value !== null ? value as Part : {};
}

function parts(value: unknown): Part[] {
  return Array.isArray(value) ? value.map(part) : [];
}

function text(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}
