/** Certificates of a private authority, made by openssl. */

import { run } from "./process.ts";

/** A certificate and its key, as files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority whose files are in a folder of their own; disposing removes it. */
export class Authority implements AsyncDisposable {
  readonly directory: string;
  /** Its own certificate, a file. */
  readonly cert: string;
  readonly #key: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.cert = `${directory}/ca.pem`;
    this.#key = `${directory}/ca.key`;
  }

  static async create(): Promise<Authority> {
    const authority = new Authority(await Deno.makeTempDir({ prefix: "mermin-ca-" }));
    const request = ["-x509", "-days", "2", "-subj", "/CN=Authority of a test", "-out", authority.cert];
    const usage = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
    await openssl(["req", ...newKey(authority.#key), ...request, ...usage]);
    return authority;
  }

  /** @param names as in `DNS:localhost,IP:127.0.0.1` */
  async issue(name: string, names: string): Promise<Certificate> {
    const [cert, key, request, extensions] = ["pem", "key", "csr", "ext"].map((end) =>
      `${this.directory}/${name}.${end}`
    );
    await openssl(["req", ...newKey(key), "-subj", `/CN=${name}`, "-out", request]);
    await Deno.writeTextFile(extensions, `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    const signed = ["-CA", this.cert, "-CAkey", this.#key, "-CAcreateserial", "-days", "2", "-extfile", extensions];
    await openssl(["x509", "-req", "-in", request, ...signed, "-out", cert]);
    return { cert, key };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

function newKey(path: string): string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", path];
}

async function openssl(args: string[]): Promise<void> {
  await run(["openssl", ...args]);
}
