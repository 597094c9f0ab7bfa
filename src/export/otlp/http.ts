/** OTLP/HTTP with protobuf or JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp). */

import { type HttpAnswer, type HttpClient, PlainClient, TlsClient } from "./http_client.ts";
import { readExportResponse, readJsonExportResponse, readJsonRpcStatus, readRpcStatus } from "./response.ts";
import { describeFailure } from "./tls.ts";
import type { SendResult, Transport, TransportOptions } from "./transport.ts";

const CONTENT_TYPES = { protobuf: "application/x-protobuf", json: "application/json" } as const;
const UTF8 = new TextDecoder();
const TRACES_PATH = "/v1/traces";
const MAX_MESSAGE_LENGTH = 300;
/** The OTLP specification names 429, 502, 503, 504; 408 is a timeout that a proxy in between reports. */
const RETRYABLE: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

export interface HttpTransportOptions extends TransportOptions {
  readonly encoding: keyof typeof CONTENT_TYPES;
}

/** One request after the other on connections that the client keeps. */
export class HttpTransport implements Transport {
  readonly #client: HttpClient;
  readonly #wallClockMs: () => number;

  /** @throws TypeError if the endpoint is no URL or a header can't be sent. */
  constructor(options: HttpTransportOptions, wallClockMs: () => number = Date.now) {
    const url = tracesUrl(options.endpoint);
    const headers = new Headers({ "user-agent": options.userAgent, ...options.headers });
    headers.set("content-type", CONTENT_TYPES[options.encoding]);
    if (options.compression === "gzip") headers.set("content-encoding", "gzip");
    this.#client = url.protocol === "https:" ? new TlsClient(url, headers, options.tls) : new PlainClient(url, headers);
    this.#wallClockMs = wallClockMs;
  }

  prepare(): void {
    this.#client.prepare();
  }

  async send(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<SendResult> {
    try {
      return judge(await this.#client.post(body, signal), this.#wallClockMs());
    } catch (error) {
      const failure = describeFailure(error);
      return { kind: "retry", ...failure, code: signal.aborted ? "timeout" : failure.code };
    }
  }

  close(): void {
    this.#client.close();
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

function judge({ status, headers, body }: HttpAnswer, nowMs: number): SendResult {
  const type = headers.get("content-type") ?? "";
  const isJson = type.startsWith(CONTENT_TYPES.json);
  const isProtobuf = type.startsWith(CONTENT_TYPES.protobuf);
  if (status >= 200 && status < 300) {
    if (isJson) return { kind: "delivered", ...readJsonExportResponse(body) };
    return { kind: "delivered", ...readExportResponse(isProtobuf ? body : new Uint8Array(0)) };
  }
  const code = `http_${status}`;
  const location = headers.get("location");
  // A redirected POST becomes a GET that succeeds and delivers nothing.
  if (location !== null) return { kind: "refused", code, message: `it redirects to ${shownLocation(location)}` };
  const text = isProtobuf ? readRpcStatus(body).message : isJson ? readJsonRpcStatus(body) : UTF8.decode(body);
  const message = text.slice(0, MAX_MESSAGE_LENGTH).trim();
  if (!RETRYABLE.has(status)) return { kind: "refused", code, message };
  return { kind: "retry", code, message, retryAfterMs: parseRetryAfterMs(headers.get("retry-after"), nowMs) };
}

/** Without user name, password, query and fragment: these may be secrets. */
function shownLocation(location: string): string {
  if (!URL.canParse(location)) return location.replace(/[?#].*$/s, "").replace(/^\/\/[^/]*@/, "//");
  const { protocol, host, pathname } = new URL(location);
  return `${protocol}//${host}${pathname}`;
}
