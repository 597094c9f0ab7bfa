/** One request on a connection, and what came back for it. */

import type { HeaderField } from "./hpack.ts";

/** Answers are kept to this length; the rest is thrown away. */
const MAX_ANSWER_BYTES = 65_536;

type Headers = Readonly<Record<string, string>>;

/** What came back for one request. */
export interface Answer {
  headers: Headers;
  trailers: Headers;
  readonly pieces: Uint8Array[];
  /** Why it is not whole. */
  error?: unknown;
}

/** Goes on until it is settled; an answer that is not whole has an error. */
export class Stream {
  /** 0 while it waits. */
  id = 0;
  /** Bytes that the peer takes at the moment. */
  window = 0;
  readonly headers: readonly HeaderField[];
  readonly body: Body;
  readonly #answer: Answer = { headers: {}, trailers: {}, pieces: [] };
  readonly #settled = Promise.withResolvers<Answer>();
  #hasHeaders = false;
  #answerBytes = 0;

  /** @param parts of the body */
  constructor(headers: readonly HeaderField[], parts: readonly Uint8Array[]) {
    this.headers = headers;
    this.body = new Body(parts);
  }

  get settled(): Promise<Answer> {
    return this.#settled.promise;
  }

  /** The first are those of the answer, after any that only inform; the last are its trailers. */
  takeHeaders(headers: Headers): void {
    if (this.#hasHeaders) this.#answer.trailers = headers;
    else if (!headers[":status"]?.startsWith("1")) {
      this.#answer.headers = headers;
      this.#hasHeaders = true;
    }
  }

  takeData(piece: Uint8Array): void {
    this.#answerBytes += piece.length;
    if (piece.length > 0 && this.#answerBytes <= MAX_ANSWER_BYTES) this.#answer.pieces.push(piece);
  }

  /** @param error why the answer is not whole */
  settle(error?: unknown): void {
    if (error) this.#answer.error = error;
    this.#settled.resolve(this.#answer);
  }
}

/** The body of a request, taken from the front. */
class Body {
  left: number;
  readonly #parts: Uint8Array[];

  constructor(parts: readonly Uint8Array[]) {
    this.#parts = [...parts];
    this.left = parts.reduce((sum, { length }) => sum + length, 0);
  }

  /** Fills `into`, which is not longer than what is left. */
  take(into: Uint8Array): void {
    this.left -= into.length;
    for (let at = 0; at < into.length;) {
      const piece = this.#parts[0].subarray(0, into.length - at);
      into.set(piece, at);
      at += piece.length;
      if (piece.length === this.#parts[0].length) this.#parts.shift();
      else this.#parts[0] = this.#parts[0].subarray(piece.length);
    }
  }
}
