/** What TLS needs from files: private authorities, the agent's own certificate and its key. */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { TlsConfig } from "./config.ts";
import { errorText } from "./transport.ts";

/** What `node:tls` is told about a connection. */
export interface TlsOptions {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized: boolean;
}

/** A file of the `tls` settings that cannot be used; the text names it and what to do. */
export class TlsFileError extends Error {
  override readonly name = "TlsFileError";
}

/** How the files are read; for tests. */
export interface TlsFilesIo {
  readText(path: string): string;
  /** A text that changes when the file does. @throws when it is not there */
  version(path: string): string;
}

const systemIo: TlsFilesIo = {
  readText: (path) => Deno.readTextFileSync(path),
  version(path) {
    const { mtime, size, ino } = Deno.statSync(path);
    return `${mtime?.getTime()} ${size} ${ino}`;
  },
};

/** How often the files are looked at while all is well. */
const LOOK_INTERVAL_MS = 10_000;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Reads the files of the `tls` settings, again whenever they have changed: certificates are renewed while agents run. */
export class TlsFiles {
  readonly #config: TlsConfig;
  readonly #io: TlsFilesIo;
  readonly #paths: readonly string[];
  #version = "";
  #nextLookMs = -Infinity;

  constructor(config: TlsConfig, io: TlsFilesIo = systemIo) {
    this.#config = config;
    this.#io = io;
    this.#paths = [config.caCert, config.clientCert, config.clientKey].filter((path) => path !== "");
  }

  /** Whether the files are others than at the last `load()` that went well; looks at them once in a while. */
  hasChanged(nowMs: number): boolean {
    if (nowMs < this.#nextLookMs) return false;
    this.#nextLookMs = nowMs + LOOK_INTERVAL_MS;
    return this.#readVersion() !== this.#version;
  }

  /** @throws {TlsFileError} when a file cannot be read or does not hold what it should */
  load(): TlsOptions {
    this.#nextLookMs = -Infinity;
    const version = this.#readVersion();
    const { caCert, clientCert, clientKey, insecureSkipVerify } = this.#config;
    const ca = caCert === "" ? undefined : this.#certificates("ca_cert", caCert);
    const own = clientCert === "" ? undefined : {
      cert: this.#certificates("client_cert", clientCert).join("\n"),
      key: this.#read("client_key", clientKey),
    };
    if (own) this.#checkPair(own.cert, own.key);
    this.#version = version;
    return { ca, ...own, rejectUnauthorized: !insecureSkipVerify };
  }

  #readVersion(): string {
    return this.#paths.map((path) => {
      try {
        return this.#io.version(path);
      } catch {
        return "unreadable"; // `load()` says why.
      }
    }).join(", ");
  }

  #certificates(setting: string, path: string): string[] {
    const certificates = this.#read(setting, path).match(PEM_CERTIFICATE) ?? [];
    const unusable = (why: string) =>
      new TlsFileError(`Cannot use ${setting} "${path}": ${why}; give a file with certificates in PEM format`);
    if (certificates.length === 0) throw unusable("it holds no certificate");
    for (const certificate of certificates) {
      try {
        new X509Certificate(certificate);
      } catch (error) {
        throw unusable(`a certificate in it is damaged (${errorText(error)})`);
      }
    }
    return certificates;
  }

  #checkPair(cert: string, pem: string): void {
    const { clientCert, clientKey } = this.#config;
    let key: KeyObject;
    try {
      key = createPrivateKey(pem);
    } catch (error) {
      // The runtime's error tells nothing of the content.
      const why = /ENCRYPTED/.test(pem) ? "it is encrypted" : `it holds no key (${errorText(error)})`;
      throw new TlsFileError(
        `Cannot use client_key "${clientKey}": ${why}; give a key in PEM format without a password`,
      );
    }
    if (!new X509Certificate(cert).checkPrivateKey(key)) {
      const text = `client_key "${clientKey}" does not belong to the first certificate in client_cert "${clientCert}"`;
      throw new TlsFileError(`Cannot use the client certificate: ${text}; give the two files that belong together`);
    }
  }

  #read(setting: string, path: string): string {
    try {
      return this.#io.readText(path);
    } catch (error) {
      const text = `${errorText(error)}; the file must be there and readable for the user that runs the agent`;
      throw new TlsFileError(`Cannot read ${setting} "${path}": ${text}`);
    }
  }
}

const UNTRUSTED =
  "the collector's certificate comes from an authority that is not trusted; name that authority's file in tls { ca_cert }";
const OTHER_TIME = "the collector's certificate is not valid now; renew it, or check the clock of this host";

/** What to do about the errors of a handshake, by their codes (https://nodejs.org/api/tls.html#x509-certificate-error-codes). */
const HINTS: Readonly<Record<string, string>> = {
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  CERT_HAS_EXPIRED: OTHER_TIME,
  CERT_NOT_YET_VALID: OTHER_TIME,
  ERR_TLS_CERT_ALTNAME_INVALID: "the collector's certificate is for another host; write a host of it in endpoint",
};

/** What an error of a connection is called in logs, and what it means. */
export function describeFailure(error: unknown): { code: "tls" | "tls_files" | "network"; message: string } {
  const message = errorText(error);
  if (error instanceof TlsFileError) return { code: "tls_files", message };
  const hint = HINTS[errorCode(error)];
  return hint === undefined ? { code: "network", message } : { code: "tls", message: `${hint} (${message})` };
}

/** The code of the error, or of what caused it in the end. */
function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  return errorCode(error.cause) || ("code" in error ? String(error.code) : "");
}
