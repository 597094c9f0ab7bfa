/** OTLP/HTTP with binary protobuf (https://opentelemetry.io/docs/specs/otlp/#otlphttp). */

import { readExportResponse, readRpcStatus } from "./response.ts";
import { errorText, type SendResult, type Transport, type TransportOptions } from "./transport.ts";

const PROTOBUF = "application/x-protobuf";
const TRACES_PATH = "/v1/traces";
/** Answers are read to this length; the rest is thrown away. */
const MAX_ANSWER_BYTES = 65_536;
const MAX_MESSAGE_LENGTH = 300;
/** The OTLP specification names 429, 502, 503, 504; 408 is a timeout that a proxy in between reports. */
const RETRYABLE: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

/** One `fetch` per request; the runtime keeps the connections. */
export class HttpTransport implements Transport {
  readonly #url: URL;
  readonly #headers: Headers;
  readonly #wallClockMs: () => number;

  /** @throws TypeError if the endpoint is no URL or a header can't be sent. */
  constructor(options: TransportOptions, wallClockMs: () => number = Date.now) {
    this.#url = tracesUrl(options.endpoint);
    this.#headers = new Headers({ "user-agent": options.userAgent, ...options.headers, "content-type": PROTOBUF });
    this.#wallClockMs = wallClockMs;
  }

  async send(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<SendResult> {
    try {
      const request = { method: "POST", headers: this.#headers, body, signal, redirect: "manual" } as const;
      const response = await fetch(this.#url, request);
      return judge(response, await readAnswer(response), this.#wallClockMs());
    } catch (error) {
      return { kind: "retry", code: signal.aborted ? "timeout" : "network", message: errorText(error) };
    }
  }

  close(): void {
    // Idle connections belong to the runtime, which ends them by itself.
  }
}

/** The address that takes traces: an endpoint without a path gets the standard one. */
export function tracesUrl(endpoint: string): URL {
  const url = new URL(endpoint);
  if (url.pathname === "/") url.pathname = TRACES_PATH;
  return url;
}

/** Milliseconds until the time in a `Retry-After` header (RFC 9110, section 10.2.3), or `undefined`. */
export function parseRetryAfterMs(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1000;
  const dateMs = Date.parse(value);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

function judge(response: Response, answer: Uint8Array, nowMs: number): SendResult {
  const isProtobuf = response.headers.get("content-type")?.startsWith(PROTOBUF) ?? false;
  if (response.ok) return { kind: "delivered", ...readExportResponse(isProtobuf ? answer : new Uint8Array(0)) };
  const code = `http_${response.status}`;
  const location = response.headers.get("location");
  // A redirected POST becomes a GET that succeeds and delivers nothing.
  if (location !== null) return { kind: "refused", code, message: `it redirects to ${shownLocation(location)}` };
  const text = isProtobuf ? readRpcStatus(answer).message : new TextDecoder().decode(answer);
  const message = text.slice(0, MAX_MESSAGE_LENGTH).trim();
  if (!RETRYABLE.has(response.status)) return { kind: "refused", code, message };
  const retryAfterMs = parseRetryAfterMs(response.headers.get("retry-after"), nowMs);
  return { kind: "retry", code, message, retryAfterMs };
}

/** Without user name, password, query and fragment: these may be secrets. */
function shownLocation(location: string): string {
  if (!URL.canParse(location)) return location.replace(/[?#].*$/s, "").replace(/^\/\/[^/]*@/, "//");
  const { protocol, host, pathname } = new URL(location);
  return `${protocol}//${host}${pathname}`;
}

async function readAnswer(response: Response): Promise<Uint8Array> {
  const answer = new Uint8Array(Math.min(MAX_ANSWER_BYTES, Number(response.headers.get("content-length") ?? Infinity)));
  let length = 0;
  for await (const chunk of response.body ?? []) {
    const part = chunk.subarray(0, answer.length - length);
    answer.set(part, length);
    length += part.length;
    if (length === MAX_ANSWER_BYTES) break;
  }
  return answer.subarray(0, length);
}
