/** What the agent's small HTTP servers have in common. */

import type { Logger } from "../log.ts";

/** Where a server listens and which setting says so. */
export interface ListenOptions {
  /** IP address. */
  listenAddress: string;
  port: number;
  /** Name of the configuration group, such as `api`, for error messages. */
  setting: string;
  logger: Logger;
  /** Time between two tries to listen; for tests. */
  retryMs?: number;
}

const RETRY_MS = 5000;

type Handler = (request: Request) => Response | Promise<Response>;

/** One HTTP server that reads nothing but GET and HEAD. */
export class HttpServer {
  #options: ListenOptions;
  readonly #handler: Handler;
  #server?: Deno.HttpServer<Deno.NetAddr>;
  #retry?: ReturnType<typeof setInterval>;

  constructor(options: ListenOptions, handler: Handler) {
    this.#options = options;
    this.#handler = handler;
  }

  /** Port that it listens on: another than the configured one only if that was 0. */
  get port(): number | undefined {
    return this.#server?.addr.port;
  }

  /** Begins to listen. An address that can't be had is told of, with what to do, and tried again until `stop()`. */
  start(): void {
    const problem = this.#listen();
    if (problem === undefined) return;
    const { logger, setting, retryMs = RETRY_MS } = this.#options;
    logger.error("cannot_listen", `${problem}; the agent goes on without it and tries again`, { server: setting });
    this.#retry = setInterval(() => {
      if (this.#listen() !== undefined) return;
      clearInterval(this.#retry);
      logger.info("listening", "the address is free now", { server: setting });
    }, retryMs);
  }

  /**
   * Listens at another address, and then no longer at the old one.
   * @throws {Error} that says what to do when the new address can't be had; the old one is kept.
   */
  async move(to: { listenAddress: string; port: number }, budgetMs: number): Promise<void> {
    const [before, old] = [this.#options, this.#server];
    this.#options = { ...before, ...to };
    let problem = this.#listen();
    // Its own port on another address may be in its own way.
    const isInTheWay = problem !== undefined && old?.addr.port === to.port;
    if (old && (problem === undefined || isInTheWay)) await end(old, budgetMs);
    if (isInTheWay) problem = this.#listen();
    if (problem === undefined) return clearInterval(this.#retry);
    this.#options = before;
    if (isInTheWay) this.#listen();
    throw new Error(problem);
  }

  /** What is wrong, when it can't listen. */
  #listen(): string | undefined {
    const { listenAddress: hostname, port } = this.#options;
    try {
      this.#server = Deno.serve({ hostname, port, onListen: () => {} }, this.#answer);
    } catch (error) {
      return cannotListen(this.#options, error);
    }
  }

  /**
   * Listens no more and finishes the answers that are under way, for at most `budgetMs`; what takes longer ends with
   * the process (Deno can't abort a server that is shutting down). Safe to call more than once.
   */
  async stop(budgetMs: number): Promise<void> {
    clearInterval(this.#retry);
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await end(server, budgetMs);
  }

  #answer = async (request: Request): Promise<Response> => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("only GET and HEAD\n", { status: 405, headers: { allow: "GET, HEAD" } });
    }
    const response = await this.#respond(request);
    response.headers.set("cache-control", "no-store");
    return request.method === "HEAD" ? withoutBody(response) : response;
  };

  async #respond(request: Request): Promise<Response> {
    try {
      return await this.#handler(request);
    } catch (error) {
      const { logger, setting } = this.#options;
      logger.error("request_failed", `cannot answer: ${error}`, { server: setting, url: request.url });
      return new Response("internal error, see the log\n", { status: 500 });
    }
  }
}

async function end(server: Deno.HttpServer, budgetMs: number): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    server.unref();
    resolve();
  }, budgetMs);
  await Promise.race([server.shutdown(), timeout]);
  clearTimeout(timer);
}

/** The answer to a path that is not served: 404 and the list of those that are. */
export function notFound(paths: readonly string[]): Response {
  return Response.json({ error: "not found", paths }, { status: 404 });
}

async function withoutBody(response: Response): Promise<Response> {
  const { byteLength } = await response.arrayBuffer();
  const headers = new Headers(response.headers);
  headers.set("content-length", String(byteLength));
  return new Response(null, { status: response.status, headers });
}

function cannotListen({ listenAddress, port, setting }: ListenOptions, error: unknown): string {
  const at = `Cannot listen on ${listenAddress} port ${port} (${setting})`;
  if (error instanceof Deno.errors.AddrInUse) {
    return `${at}: another program has this port; stop it or set ${setting}.port to a free one`;
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return `${at}: this host has no such address; set ${setting}.listen_address to one it has, or to 0.0.0.0`;
  }
  if (error instanceof Deno.errors.PermissionDenied && port < 1024) {
    return `${at}: ports below 1024 need CAP_NET_BIND_SERVICE; set ${setting}.port to a higher one`;
  }
  if (error instanceof Deno.errors.NotCapable) {
    return `${at}: Deno may not listen there; start it with --allow-net=${listenAddress}:${port}`;
  }
  return `${at}: ${
    error instanceof Error ? error.message : error
  }; change ${setting}.listen_address or ${setting}.port`;
}
