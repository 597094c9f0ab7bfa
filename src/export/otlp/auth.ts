/** Who sends: the authorization header, and what must never be shown of it. */

import { Buffer } from "node:buffer";
import type { AuthConfig, OtlpConfig } from "./config.ts";
import type { SendResult, Transport } from "./transport.ts";

/** The value of the `authorization` header: basic (RFC 7617, in UTF-8) or bearer (RFC 6750). */
export function authorization(auth: AuthConfig | undefined): string | undefined {
  if (auth?.basic) return `Basic ${Buffer.from(`${auth.basic.user}:${auth.basic.pass}`).toString("base64")}`;
  return auth?.bearer ? `Bearer ${auth.bearer}` : undefined;
}

/** The headers of every request, `auth` among them. */
export function requestHeaders({ auth, headers }: Pick<OtlpConfig, "auth" | "headers">): Record<string, string> {
  const value = authorization(auth);
  return value === undefined ? headers : { ...headers, authorization: value };
}

/** Shorter values stand everywhere by chance; they could not be hidden, and guard nothing. */
const MIN_SECRET_LENGTH = 4;

/** Hides the secrets of a configuration in texts of others: an answer may repeat what it was asked with. */
export class Redactor {
  readonly #secrets: readonly string[];

  constructor({ auth, headers }: Pick<OtlpConfig, "auth" | "headers">) {
    const token = authorization(auth)?.split(" ")[1] ?? "";
    const all = [...Object.values(headers), auth?.basic?.pass ?? "", token];
    // A secret may be part of another one; the longer must go first.
    this.#secrets = all.filter(({ length }) => length >= MIN_SECRET_LENGTH).sort((a, b) => b.length - a.length);
  }

  clean(text: string): string {
    return this.#secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, "(hidden)"), text);
  }
}

/** Another transport, whose results may be shown to everybody. */
export class DiscreetTransport implements Transport {
  readonly #inner: Transport;
  readonly #redactor: Redactor;

  constructor(inner: Transport, redactor: Redactor) {
    this.#inner = inner;
    this.#redactor = redactor;
  }

  prepare(): void {
    this.#inner.prepare();
  }

  async send(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<SendResult> {
    const result = await this.#inner.send(body, signal);
    return { ...result, message: this.#redactor.clean(result.message) };
  }

  close(): void {
    this.#inner.close();
  }
}
