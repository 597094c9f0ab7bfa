/** Fakes for the tests of this folder. */

import { type OtlpConfig, otlpSettings } from "./config.ts";
import type { SendResult, Transport } from "./transport.ts";

/** What every transport of a test is made with. */
export const TRANSPORT_OPTIONS = {
  headers: {},
  timeoutMs: 1000,
  userAgent: "mermin",
  compression: "none",
  tls: undefined,
  encoding: "protobuf",
} as const;

/** One request that a `FakeTransport` got; it waits for `answer()`. */
export interface FakeRequest {
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
  answer(result: SendResult): void;
}

/** Answers with `reply`, or keeps requests in `pending` while that is `undefined`. */
export class FakeTransport implements Transport {
  prepare(): void {}

  readonly requests: FakeRequest[] = [];
  readonly pending = new Set<FakeRequest>();
  reply: SendResult | undefined;
  isClosed = false;

  constructor(reply?: SendResult) {
    this.reply = reply;
  }

  send(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<SendResult> {
    return new Promise((resolve) => {
      const answer = (result: SendResult) => {
        this.pending.delete(request);
        resolve(result);
      };
      const request = { body: body.slice(), signal, answer };
      signal.addEventListener("abort", () => answer({ kind: "retry", code: "timeout", message: "aborted" }));
      this.requests.push(request);
      this.pending.add(request);
      if (this.reply !== undefined) answer(this.reply);
    });
  }

  close(): void {
    this.isClosed = true;
  }
}

/** What the defaults of the settings are, changed by `change`. */
export function otlpConfig(change: Partial<OtlpConfig> = {}): OtlpConfig {
  return { ...otlpSettings.default, ...change };
}
