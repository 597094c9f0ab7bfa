/** POST requests to one address. */

import { Buffer } from "node:buffer";
import type http from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { chunksOf } from "../../body.ts";
import type { TlsConfig } from "./config.ts";
import { TlsFiles, type TlsOptions } from "./tls.ts";
import { DEFAULT_TLS } from "./transport.ts";

/** Answers are read to this length; the rest is thrown away. */
const MAX_ANSWER_BYTES = 65_536;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

export interface HttpClient {
  /** @throws {TlsFileError} when a file that it needs cannot be used */
  prepare(): void;
  /** Rejects when there is no answer, and at once when `signal` aborts. Redirects are not followed. */
  post(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<HttpAnswer>;
  close(): void;
}

/** Without TLS: `fetch`, whose connections the runtime keeps and ends by itself. */
export class PlainClient implements HttpClient {
  readonly #url: URL;
  readonly #headers: Headers;

  constructor(url: URL, headers: Headers) {
    this.#url = url;
    this.#headers = headers;
  }

  prepare(): void {
    // It needs no file.
  }

  async post(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<HttpAnswer> {
    const request = { method: "POST", headers: this.#headers, body, signal, redirect: "manual" } as const;
    const { status, headers, body: stream } = await fetch(this.#url, request);
    const answer = new Collected();
    try {
      for await (const chunk of stream ? chunksOf(stream, signal) : []) if (!answer.add(chunk)) break;
    } catch (error) {
      if (signal.aborted || isSuccess(status)) throw error;
    }
    return { status, headers, body: answer.bytes };
  }

  close(): void {
    // Idle connections end by themselves.
  }
}

/**
 * With TLS: `node:https`. `fetch` can neither leave a certificate unchecked nor trust a private authority alone, and ignores
 * files that hold no certificate.
 */
export class TlsClient implements HttpClient {
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #files: TlsFiles;
  #agent: TlsAgent | undefined;

  constructor(url: URL, headers: Headers, config: TlsConfig = DEFAULT_TLS) {
    this.#url = url;
    this.#headers = Object.fromEntries(headers);
    this.#files = new TlsFiles(config);
  }

  prepare(): void {
    this.#files.load();
  }

  async post(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<HttpAnswer> {
    signal.throwIfAborted();
    const options = { method: "POST", headers: this.#headers, agent: this.#currentAgent() };
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    const request = https.request(this.#url, options);
    const giveUp = () => {
      reject(signal.reason);
      request.destroy();
    };
    signal.addEventListener("abort", giveUp);
    request.on("error", (error) => {
      // Files may have been renewed since; the next request reads them again.
      this.#renew();
      reject(error);
    });
    request.on("response", (response) => receive(response, resolve, reject));
    // Without this, a server that switches protocols would leave the request without an end.
    request.on("upgrade", ({ statusCode: status = 0 }, socket) => {
      socket.destroy();
      resolve({ status, headers: new Headers(), body: new Uint8Array(0) });
    });
    request.end(Buffer.from(body.buffer, body.byteOffset, body.length));
    return await promise.finally(() => signal.removeEventListener("abort", giveUp));
  }

  close(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  #currentAgent(): TlsAgent {
    if (this.#files.hasChanged(performance.now())) this.#renew();
    return this.#agent ??= new TlsAgent(this.#files.load());
  }

  /** Later requests make connections anew; those under way go on. */
  #renew(): void {
    this.#agent?.retire();
    this.#agent = undefined;
  }
}

/** Makes connections by `tls.connect` itself: the class above it asks for a permission that Deno's flags cannot name. */
class TlsAgent extends https.Agent {
  readonly #tls: TlsOptions;

  constructor(options: TlsOptions) {
    super({ keepAlive: true });
    this.#tls = options;
  }

  override createConnection(options: http.ClientRequestArgs): Duplex {
    const { host, port } = options;
    const servername = (options as tls.ConnectionOptions).servername;
    return tls.connect({ host, port, servername, ...this.#tls, ALPNProtocols: ["http/1.1"] } as tls.ConnectionOptions);
  }

  /** Ends idle connections now and the others after their request. */
  retire(): void {
    this.maxFreeSockets = 0;
    for (const sockets of Object.values(this.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }
}

function receive(
  response: http.IncomingMessage,
  resolve: (answer: HttpAnswer) => void,
  reject: (error: unknown) => void,
): void {
  const answer = new Collected();
  const done = () => {
    const headers = new Headers();
    for (const [name, value] of Object.entries(response.headers)) headers.set(name, String(value));
    resolve({ status: response.statusCode ?? 0, headers, body: answer.bytes });
  };
  response.on("data", (chunk: Uint8Array) => {
    if (answer.add(chunk)) return;
    done();
    response.destroy();
  });
  response.on("end", done);
  const breakOff = (error: unknown) => isSuccess(response.statusCode ?? 0) ? reject(error) : done();
  response.on("error", breakOff);
  response.on("close", () => breakOff(new Error("the connection was closed in the middle of the answer")));
}

/** Whether the rest of the answer matters: what became of the spans. A refusal is one also when its text breaks off. */
function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** The first bytes of an answer. */
class Collected {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;

  /** Returns whether there is room for more. */
  add(chunk: Uint8Array): boolean {
    const part = chunk.subarray(0, MAX_ANSWER_BYTES - this.#length);
    this.#chunks.push(part);
    this.#length += part.length;
    return this.#length < MAX_ANSWER_BYTES;
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }
}
