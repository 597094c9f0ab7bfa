import { type MetricsContentType, negotiate } from "../metrics/format.ts";
import { summarize } from "../metrics/summary.ts";
import type { MetricCategory } from "../metrics/table.ts";
import { HttpServer, type ListenOptions, notFound } from "./http_server.ts";

export interface MetricsServerOptions extends ListenOptions {
  /** Whether metrics of category `debug` are shown. */
  debugMetricsEnabled: boolean;
  /** The page of the metrics of these categories, in one of the two formats. */
  render: (contentType: MetricsContentType, categories: readonly MetricCategory[]) => Promise<string>;
}

const SUMMARY = "/metrics:summary";
const PAGES = ["/metrics", "/metrics/standard", "/metrics/debug"] as const;

/** Serves the metrics as Prometheus text, or as OpenMetrics to a client that prefers it, and a summary as JSON. */
export class MetricsServer {
  readonly #render: MetricsServerOptions["render"];
  #hasDebug: boolean;
  readonly #http: HttpServer;

  constructor({ render, debugMetricsEnabled, ...listen }: MetricsServerOptions) {
    this.#render = render;
    this.#hasDebug = debugMetricsEnabled;
    this.#http = new HttpServer(listen, (request) => this.handle(request));
  }

  /** Whether metrics of category `debug` are shown. */
  set debugMetricsEnabled(hasDebug: boolean) {
    this.#hasDebug = hasDebug;
  }

  get port(): number | undefined {
    return this.#http.port;
  }

  /** Begins to listen, now or as soon as the address can be had. */
  start(): void {
    this.#http.start();
  }

  /** Listens elsewhere. @throws {Error} when the address can't be had; the old one is kept. */
  move(to: { listenAddress: string; port: number }, budgetMs: number): Promise<void> {
    return this.#http.move(to, budgetMs);
  }

  /** Ends within `budgetMs`. */
  stop(budgetMs: number): Promise<void> {
    return this.#http.stop(budgetMs);
  }

  /** The answer to one request, with no network. */
  async handle(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === SUMMARY) return Response.json(summarize(this.#hasDebug));
    const page = PAGES.find((path) => path === pathname);
    if (page === undefined) return notFound([...PAGES, SUMMARY]);
    if (page === "/metrics/debug" && !this.#hasDebug) {
      return Response.json({ error: "there are no debug metrics: set metrics.debug_metrics_enabled = true" }, {
        status: 404,
      });
    }
    const contentType = negotiate(request.headers.get("accept") ?? "");
    const body = await this.#render(contentType, this.#categoriesOf(page));
    return new Response(body, { headers: { "content-type": contentType } });
  }

  #categoriesOf(page: (typeof PAGES)[number]): readonly MetricCategory[] {
    switch (page) {
      case "/metrics":
        return this.#hasDebug ? ["standard", "debug"] : ["standard"];
      case "/metrics/standard":
        return ["standard"];
      case "/metrics/debug":
        return ["debug"];
    }
  }
}
