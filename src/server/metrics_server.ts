import { type MetricsContentType, negotiate } from "../metrics/format.ts";
import { HttpServer, type ListenOptions, notFound } from "./http_server.ts";

export interface MetricsServerOptions extends ListenOptions {
  /** The page of all metrics, in one of the two formats. */
  render: (contentType: MetricsContentType) => Promise<string>;
}

const PATHS = ["/metrics"];

/** Serves `/metrics` as Prometheus text, or as OpenMetrics to a client that prefers it. */
export class MetricsServer {
  readonly #render: MetricsServerOptions["render"];
  readonly #http: HttpServer;

  constructor({ render, ...listen }: MetricsServerOptions) {
    this.#render = render;
    this.#http = new HttpServer(listen, (request) => this.handle(request));
  }

  get port(): number | undefined {
    return this.#http.port;
  }

  /** @throws {Error} when the address can't be had. */
  start(): void {
    this.#http.start();
  }

  /** Ends within `budgetMs`. */
  stop(budgetMs: number): Promise<void> {
    return this.#http.stop(budgetMs);
  }

  /** The answer to one request, with no network. */
  async handle(request: Request): Promise<Response> {
    if (!PATHS.includes(new URL(request.url).pathname)) return notFound(PATHS);
    const contentType = negotiate(request.headers.get("accept") ?? "");
    return new Response(await this.#render(contentType), { headers: { "content-type": contentType } });
  }
}
