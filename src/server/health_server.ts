import { HttpServer, type ListenOptions, notFound } from "./http_server.ts";

export type Probe = "live" | "ready" | "startup";

/** One thing that can be well or not. */
export interface HealthCheck {
  /** Key in the answer, such as `capture`. */
  readonly name: string;
  /** Probes that fail when this check does; with none it is only shown. */
  readonly kinds: readonly Probe[];
  /** Whether there is such a thing now; yes, when left out. */
  isShown?(): boolean;
  /** How it is now; cheap, because probes come every few seconds. An exception counts as not ok. */
  check(): HealthState;
}

export interface HealthState {
  ok: boolean;
  /** Why, in a few words. */
  detail?: string;
}

export interface HealthOptions extends ListenOptions {
  checks: readonly HealthCheck[];
  /** A few figures for people, read for each answer. */
  metrics: () => Record<string, number>;
}

const PROBES: Readonly<Record<string, Probe>> = { "/livez": "live", "/readyz": "ready", "/startup": "startup" };

/**
 * Answers `/livez`, `/readyz` and `/startup`: 200 when all is well, else 503, with every check in the body.
 *
 * It can listen from the first moment: until `markStarted()` each probe fails at once instead of being refused.
 */
export class HealthServer {
  readonly #checks: readonly HealthCheck[];
  readonly #metrics: () => Record<string, number>;
  readonly #http: HttpServer;
  #started = false;

  constructor({ checks, metrics, ...listen }: HealthOptions) {
    this.#checks = checks;
    this.#metrics = metrics;
    this.#http = new HttpServer(listen, (request) => this.handle(request));
  }

  get port(): number | undefined {
    return this.#http.port;
  }

  /** Begins to listen, now or as soon as the address can be had. */
  start(): void {
    this.#http.start();
  }

  /** The start is done: from now on the checks decide. */
  markStarted(): void {
    this.#started = true;
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
  handle(request: Request): Response {
    const probe = PROBES[new URL(request.url).pathname];
    if (probe === undefined) return notFound(Object.keys(PROBES));
    const checks: Record<string, { status: string; detail?: string }> = {};
    let ok = this.#started;
    if (!ok) checks.startup = { status: statusOf(false), detail: "starting" };
    for (const check of this.#checks) {
      if (check.isShown?.() === false) continue;
      const state = stateOf(check);
      checks[check.name] = { status: statusOf(state.ok), detail: state.detail };
      if (!state.ok && check.kinds.includes(probe)) ok = false;
    }
    return Response.json({ status: statusOf(ok), checks, metrics: this.#metrics() }, { status: ok ? 200 : 503 });
  }
}

function stateOf(check: HealthCheck): HealthState {
  try {
    return check.check();
  } catch (error) {
    return { ok: false, detail: `check failed: ${error}` };
  }
}

function statusOf(ok: boolean): "ok" | "unavailable" {
  return ok ? "ok" : "unavailable";
}
