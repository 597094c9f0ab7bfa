/** Ways to a server: one that can be cut, and one that is asked for. */

/** Hands connections on to `target`, until it is told to cut them. */
export class Proxy implements AsyncDisposable {
  readonly url: string;
  readonly #listener: Deno.TcpListener;
  readonly #target: number;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #accepting: Promise<void>;

  constructor(target: string) {
    this.#target = Number(new URL(target).port);
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.url = `https://127.0.0.1:${this.#listener.addr.port}`;
    this.#accepting = this.#accept();
  }

  /** While it is closed, no connection gets further than here. */
  isOpen = true;

  /** Ends all connections, as a broken network does; new ones are taken. */
  cut(): void {
    closeAll(this.#connections);
  }

  async #accept(): Promise<void> {
    for await (const near of this.#listener) {
      if (!this.isOpen) {
        near.close();
        continue;
      }
      const far = await this.#reach();
      if (!far) {
        near.close();
        continue;
      }
      this.#connections.add(near).add(far);
      join(near, far);
    }
  }

  async #reach(): Promise<Deno.TcpConn | undefined> {
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return undefined;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    this.cut();
  }
}

/** A proxy as `HTTPS_PROXY` means it; it writes down who is asked for. */
export class ConnectProxy implements AsyncDisposable {
  readonly url: string;
  /** `host:port` of each connection. */
  readonly asked: string[] = [];
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #accepting: Promise<void>;

  constructor() {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.url = `http://127.0.0.1:${this.#listener.addr.port}`;
    this.#accepting = this.#accept();
  }

  async #accept(): Promise<void> {
    for await (const near of this.#listener) {
      const head = new TextDecoder().decode(await readHead(near));
      const target = head.match(/^CONNECT (\S+) /)![1];
      this.asked.push(target);
      const [hostname, port] = target.split(":");
      const far = await Deno.connect({ hostname, port: Number(port) });
      this.#connections.add(near).add(far);
      await near.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n"));
      join(near, far);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    closeAll(this.#connections);
  }
}

/** What one says the other hears; a connection that is cut ends with an error, on purpose. */
function join(near: Deno.TcpConn, far: Deno.TcpConn): void {
  near.readable.pipeTo(far.writable).catch(() => {});
  far.readable.pipeTo(near.writable).catch(() => {});
}

function closeAll(connections: Set<Deno.TcpConn>): void {
  for (const connection of connections) {
    try {
      connection.close();
    } catch (error) {
      // Its other end was first.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
  connections.clear();
}

/** A client sends nothing more before it is answered. */
async function readHead(connection: Deno.TcpConn): Promise<Uint8Array> {
  const buffer = new Uint8Array(4096);
  let length = 0;
  while (!new TextDecoder().decode(buffer.subarray(0, length)).endsWith("\r\n\r\n")) {
    const read = await connection.read(buffer.subarray(length));
    if (read === null) break;
    length += read;
  }
  return buffer.subarray(0, length);
}
