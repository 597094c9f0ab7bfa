/** How an encoded request reaches a collector. */

import type { OtlpConfig, TlsConfig } from "./config.ts";

/** What became of one request. */
export type SendResult =
  /** The collector took the spans apart from `rejectedSpans`; a `message` is its remark, `""` when it made none. */
  | { readonly kind: "delivered"; readonly rejectedSpans: number; readonly message: string }
  /** It may succeed later, not before `retryAfterMs` when the collector named a time. */
  | { readonly kind: "retry"; readonly code: string; readonly message: string; readonly retryAfterMs?: number }
  /** It will never succeed. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

export interface Transport {
  /** @throws {TlsFileError} when a file that it needs cannot be used */
  prepare(): void;
  /**
   * Sends one `ExportTraceServiceRequest`, in the encoding and compression of the options. Never rejects, and settles at once when `signal` aborts. `body` is not read
   * after that.
   */
  send(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<SendResult>;
  /** Gives up the connections; called when nothing is in flight. */
  close(): void;
}

/** What a request to an OTLP receiver needs besides its body. */
export interface TransportOptions {
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Limit of one request, told to the receiver where the protocol can. */
  readonly timeoutMs: number;
  readonly userAgent: string;
  readonly compression: OtlpConfig["compression"];
  readonly tls: TlsConfig | undefined;
}

/** What a configuration without `tls` means for an https endpoint. */
export const DEFAULT_TLS: TlsConfig = { insecureSkipVerify: false, caCert: "", clientCert: "", clientKey: "" };

/** The text of an error and of what caused it. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause === undefined) return error.message;
  const cause = errorText(error.cause);
  return error.message.includes(cause) ? error.message : `${error.message}: ${cause}`;
}
