/** A client and a server that talk a little: `demo_traffic.ts server` in one namespace, `client` in the other. */

const SERVERS = ["10.0.0.2", "fd00::2"];
const HTTP_PORT = 80;
const DNS_PORT = 53;
const CLOSED_PORT = 81;
const PAUSE_MS = 400;

function serve(): void {
  const page = "x".repeat(20_000);
  Deno.serve({ hostname: "::", port: HTTP_PORT, onListen() {} }, () => new Response(page));
  for (const hostname of SERVERS) answer(hostname);
}

/** Sends back what comes, twice. */
async function answer(hostname: string): Promise<void> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname, port: DNS_PORT });
  for await (const [data, from] of socket) {
    await socket.send(data, from);
    await socket.send(data, from);
  }
}

async function ask(server: string): Promise<void> {
  const host = server.includes(":") ? `[${server}]` : server;
  // A connection of its own for each request, so that each is a flow.
  const response = await fetch(`http://${host}:${HTTP_PORT}/`, { headers: { connection: "close" } });
  await response.arrayBuffer();
  const any = server.includes(":") ? "::" : "0.0.0.0";
  const socket = Deno.listenDatagram({ transport: "udp", hostname: any, port: 0 });
  await socket.send(new Uint8Array(40), { transport: "udp", hostname: server, port: DNS_PORT });
  await socket.receive();
  socket.close();
}

/** The server is not there yet, or a port is closed on purpose: the flow shows it. */
function expected(error: unknown): void {
  if (!(error instanceof TypeError) && !(error instanceof Deno.errors.ConnectionRefused)) throw error;
}

if (Deno.args[0] === "server") {
  serve();
} else {
  for (let round = 0;; round++) {
    const server = SERVERS[round % SERVERS.length];
    await ask(server).catch(expected);
    if (round % 5 === 0) await Deno.connect({ hostname: server, port: CLOSED_PORT }).catch(expected);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
