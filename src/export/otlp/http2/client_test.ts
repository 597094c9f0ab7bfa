import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { ClientConnection } from "./client.ts";
import { encodeFrame, Flag, FrameReader, FrameType, INITIAL_WINDOW_BYTES, PREFACE, words } from "./frames.ts";
import { encodeHeaders } from "./hpack.ts";
import type { Answer } from "./stream.ts";
import { type Call, Connection } from "./testing.ts";

const BEGIN = encodeHeaders([[":status", 200]]);
const END = encodeHeaders([["grpc-status", 0]]);
const { END_HEADERS, END_STREAM, PADDED, PRIORITY } = Flag;

/** A client connected to a server that does `serve` with each connection. */
async function connect(serve: (socket: Socket) => unknown): Promise<ClientConnection & AsyncDisposable> {
  const listener = net.createServer(serve);
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const client = new ClientConnection(net.connect((listener.address() as AddressInfo).port, "127.0.0.1"));
  return Object.assign(client, {
    async [Symbol.asyncDispose]() {
      client.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  });
}

const request = (client: ClientConnection, length = 10) =>
  client.request([[":method", "POST"]], [new Uint8Array(length)]);

const statusOf = ({ headers, trailers, error }: Answer) => [headers[":status"], trailers["grpc-status"], error];
const OK = ["200", "0", undefined];

function answer(call: Call): void {
  call.head({ ":status": 200 });
  call.head({ "grpc-status": 0 }, { end: true });
}

Deno.test("ClientConnection.request() sends no more than both windows allow", async () => {
  const LENGTH = 100_000;
  const sums: number[] = [];
  await using client = await connect((socket) => {
    const send = (...args: Parameters<typeof encodeFrame>) => socket.write(encodeFrame(...args));
    const frames = new FrameReader();
    let preface = PREFACE.length, sum = 0;
    socket.on("data", (piece) => {
      const rest = (piece as Uint8Array).subarray(preface);
      preface = Math.max(0, preface - (piece as Uint8Array).length);
      for (const { type, flags, payload } of frames.read(rest)) {
        if (type === FrameType.PING) {
          sums.push(sum);
          send(FrameType.WINDOW_UPDATE, 0, 0, words(LENGTH - sum));
        }
        if (type !== FrameType.DATA) continue;
        sum += payload.length;
        if (sum === INITIAL_WINDOW_BYTES) {
          // The stream's window grows, the connection's does not; whoever ignores that sends more before the PING's answer.
          send(FrameType.SETTINGS, 0, 0, new Uint8Array([0, 4, ...words(LENGTH)]));
          send(FrameType.PING, 0, 0, new Uint8Array(8));
        }
        if (flags & END_STREAM) {
          sums.push(sum);
          send(FrameType.HEADERS, END_HEADERS | END_STREAM, 1, BEGIN);
        }
      }
    });
  });
  deepEqual(statusOf(await request(client, LENGTH)), ["200", undefined, undefined]);
  deepEqual(sums, [INITIAL_WINDOW_BYTES, LENGTH]);
});

Deno.test("ClientConnection.request() waits when the server takes one request at a time", async () => {
  let open = 0, most = 0;
  await using client = await connect((socket) => {
    const connection = new Connection(socket, async (call) => {
      most = Math.max(most, ++open);
      await call.read();
      open--;
      answer(call);
    });
    connection.send(FrameType.SETTINGS, 0, 0, new Uint8Array([0, 3, 0, 0, 0, 1]));
  });
  equal(statusOf(await request(client))[1], "0");
  deepEqual((await Promise.all([1, 2, 3].map(() => request(client, 100_000)))).map(statusOf), [OK, OK, OK]);
  equal(most, 1);
});

Deno.test("ClientConnection.request() reads headers in several frames, padding, priorities and what it does not know", async () => {
  await using client = await connect((socket) =>
    new Connection(socket, async (call) => {
      await call.read();
      const { connection, id } = call;
      connection.send(FrameType.HEADERS, END_HEADERS, id, encodeHeaders([[":status", 103]]));
      const flags = PADDED | PRIORITY;
      connection.send(FrameType.HEADERS, flags, id, new Uint8Array([2, 0, 0, 0, 0, 9, ...BEGIN.subarray(0, 3), 0, 0]));
      connection.send(FrameType.CONTINUATION, END_HEADERS, id, BEGIN.subarray(3));
      connection.send(99, 0, id, new Uint8Array(3));
      connection.send(FrameType.DATA, PADDED, id, new Uint8Array([3, 65, 66, 0, 0, 0]));
      connection.send(FrameType.HEADERS, END_HEADERS | END_STREAM, id, END);
    })
  );
  const got = await request(client);
  deepEqual(statusOf(got), OK);
  equal(Buffer.concat(got.pieces).toString(), "AB");
});

const BROKEN: [name: string, bytes: Uint8Array, error: RegExp][] = [
  ["speaks HTTP/1", new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"), /not HTTP\/2/],
  ["pushes", encodeFrame(FrameType.PUSH_PROMISE, 0, 1, new Uint8Array(4)), /pushes/],
  ["goes on with headers that it did not begin", encodeFrame(FrameType.CONTINUATION, 0, 1, END), /interrupted/],
  [
    "begins headers and sends something else",
    Buffer.concat([
      encodeFrame(FrameType.HEADERS, 0, 1, BEGIN),
      encodeFrame(FrameType.PING, 0, 0, new Uint8Array(8)),
    ]),
    /interrupted/,
  ],
  [
    "sends headers that refer to nothing",
    encodeFrame(FrameType.HEADERS, END_HEADERS, 1, new Uint8Array([0xff, 9])),
    /not there/,
  ],
  ["pads more than there is", encodeFrame(FrameType.DATA, PADDED, 1, new Uint8Array([9, 0])), /padding/],
  ["sends a frame without its content", encodeFrame(FrameType.RST_STREAM, 0, 1, new Uint8Array(2)), /./],
];

for (const [name, bytes, error] of BROKEN) {
  Deno.test(`ClientConnection.request() gives up a connection whose server ${name}`, async () => {
    await using client = await connect((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.destroyed || socket.write(bytes));
    });
    match(String((await request(client)).error), error);
    equal(client.isUsable, false);
  });
}

Deno.test("a GOAWAY ends requests that the server has not begun, with its reason, and no others", async () => {
  const calls: Call[] = [];
  await using client = await connect((socket) => new Connection(socket, (call) => calls.push(call)));
  const requests = [1, 2, 3].map(() => request(client));
  while (calls.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  const reason = new TextEncoder().encode("too_many_pings");
  calls[0].connection.send(FrameType.GOAWAY, 0, 0, new Uint8Array([...words(calls[0].id, 11), ...reason]));
  for (const late of requests.slice(1)) match(String((await late).error), /goes away, code 11 \(too_many_pings\)/);
  equal(client.isUsable, false);
  answer(calls[0]);
  deepEqual(statusOf(await requests[0]), OK);
});

// A server that closes idle connections made the runtime's own HTTP/2 abort the process (denoland/deno#36788).
Deno.test("a GOAWAY on a connection at rest ends the connection", async () => {
  let connection: Connection;
  await using client = await connect((socket) => connection = new Connection(socket, answer));
  for (let i = 0; i < 13; i++) await request(client, 1000 * i + 1);
  const closed = once(connection!.socket, "close");
  connection!.goAway(225);
  await closed;
  equal(client.isUsable, false);
});

Deno.test("ClientConnection.request() gives up a connection whose server asks for ever more and reads nothing", async () => {
  // The system would take some megabytes first.
  const socket = Object.assign(new Duplex({ read() {}, write() {} }), { setNoDelay() {} });
  const client = new ClientConnection(socket as unknown as Socket);
  const got = request(client);
  const ping = encodeFrame(FrameType.PING, 0, 0, new Uint8Array(8));
  while (!socket.destroyed) {
    socket.push(Buffer.concat(Array(1000).fill(ping)));
    ok(socket.writableLength < 2 ** 21);
    await new Promise((resolve) => setTimeout(resolve));
  }
  match(String((await got).error), /does not read/);
});

Deno.test("ClientConnection.request() keeps nothing of an answer of empty pieces", async () => {
  await using client = await connect((socket) =>
    new Connection(socket, (call) => {
      call.head({ ":status": 200 });
      for (let i = 0; i < 10; i++) call.write(new Uint8Array());
      call.head({ "grpc-status": 0 }, { end: true });
    })
  );
  deepEqual((await request(client)).pieces, []);
});

Deno.test("ClientConnection.request() tells in its first headers, and only there, that it keeps no table", async () => {
  const firstBytes: number[] = [];
  await using client = await connect((socket) => {
    const frames = new FrameReader();
    let preface = PREFACE.length;
    socket.on("data", (piece) => {
      const rest = (piece as Uint8Array).subarray(preface);
      preface = Math.max(0, preface - (piece as Uint8Array).length);
      for (const { type, streamId, payload } of frames.read(rest)) {
        if (type !== FrameType.HEADERS) continue;
        firstBytes.push(payload[0]);
        socket.write(encodeFrame(FrameType.HEADERS, END_HEADERS | END_STREAM, streamId, BEGIN));
      }
    });
  });
  for (let i = 0; i < 2; i++) await request(client);
  deepEqual(firstBytes, [0x20, 0]);
});
