import assert from "node:assert/strict";
import { seededRandom } from "../export/testing.ts";
import { CONNECTION_STATES, connectionState, type TcpEvidence } from "./connection_state.ts";
import { NO_SIDE, otherSide, type Side } from "./ends.ts";
import { flowRecord, type RecordValues } from "./testing.ts";

const [FIN, SYN, RST, ACK] = [1, 2, 4, 16];
const NOTHING: Partial<RecordValues> = {
  synFrom: NO_SIDE,
  synAckFrom: NO_SIDE,
  finFrom: NO_SIDE,
  isEstablished: false,
  tcpFlags: [0, 0],
};

Deno.test("connectionState() is the source's, by the first rule that fits", async (t) => {
  const open: Partial<RecordValues> = { synFrom: 0, synAckFrom: 1, isEstablished: true };
  // Side 0 opens; `client` and `server` are what each has as the source.
  const cases: [name: string, seen: Partial<RecordValues>, client: string, server: string][] = [
    ["SYN", { synFrom: 0, tcpFlags: [SYN, 0] }, "syn_sent", "syn_received"],
    ["SYN-ACK not acknowledged", { synFrom: 0, synAckFrom: 1, tcpFlags: [SYN, SYN | ACK] }, "syn_sent", "syn_received"],
    ["met at the SYN-ACK", { synAckFrom: 1, tcpFlags: [0, SYN | ACK] }, "syn_sent", "syn_received"],
    ["both opened at once", { synFrom: 0, tcpFlags: [SYN, SYN] }, "syn_received", "syn_received"],
    ["handshake", { ...open, tcpFlags: [SYN | ACK, SYN | ACK] }, "established", "established"],
    ["met in the middle", { isEstablished: true, tcpFlags: [ACK, ACK] }, "established", "established"],
    ["refused", { synFrom: 0, tcpFlags: [SYN, RST | ACK] }, "closed", "closed"],
    ["reset in the middle", { ...open, tcpFlags: [SYN | ACK | RST, SYN | ACK] }, "closed", "closed"],
    ["FIN", { ...open, finFrom: 0, tcpFlags: [FIN | SYN, SYN] }, "fin_wait", "close_wait"],
    [
      "FIN acknowledged",
      {
        ...{ ...open, finFrom: 0, tcpFlags: [FIN | SYN, SYN] },
        isFinAcked: [true, false],
      },
      "fin_wait",
      "close_wait",
    ],
    [
      "both FINs, one acknowledged",
      {
        ...{ ...open, finFrom: 0, tcpFlags: [FIN, FIN] },
        isFinAcked: [true, false],
      },
      "time_wait",
      "last_ack",
    ],
    [
      "both FINs acknowledged",
      {
        ...{ ...open, finFrom: 0, tcpFlags: [FIN, FIN] },
        isFinAcked: [true, true],
      },
      "time_wait",
      "closed",
    ],
    ["both closed at once", { ...open, finFrom: 0, tcpFlags: [FIN, FIN] }, "closing", "closing"],
    [
      "both closed at once, the later acknowledged",
      {
        ...{ ...open, finFrom: 0, tcpFlags: [FIN, FIN] },
        isFinAcked: [false, true],
      },
      "closing",
      "time_wait",
    ],
    ["FIN scan", { finFrom: 0, tcpFlags: [FIN, 0] }, "fin_wait", "close_wait"],
    ["no flag at all", {}, "", ""],
  ];
  for (const [name, seen, client, server] of cases) {
    await t.step(name, () => {
      const record = flowRecord({ ...NOTHING, ...seen });
      assert.deepEqual([connectionState(record, 0), connectionState(record, 1)], [client, server]);
    });
  }
});

interface Packet {
  from: Side;
  flags: number;
  seq: number;
  ack: number;
  dataBytes: number;
}

/** One end of a connection as RFC 9293, section 3.10, has it, without loss. */
class TcpEnd {
  state: string;
  #next = 0;
  #expected = 0;
  #finSeq = Infinity;

  constructor(readonly side: Side, readonly send: (packet: Packet) => void, isListening: boolean) {
    this.state = isListening ? "LISTEN" : "CLOSED";
  }

  connect(): void {
    this.#emit(SYN);
    this.state = "SYN_SENT";
  }

  write(): void {
    if (this.state === "ESTABLISHED" || this.state === "CLOSE_WAIT") this.#emit(ACK, 1);
  }

  close(): void {
    const next = { SYN_RECEIVED: "FIN_WAIT_1", ESTABLISHED: "FIN_WAIT_1", CLOSE_WAIT: "LAST_ACK" }[this.state];
    if (next === undefined) return;
    this.#finSeq = this.#next;
    this.#emit(FIN | ACK);
    this.state = next;
  }

  abort(): void {
    if (!["SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT"].includes(this.state)) return;
    this.#emit(RST | ACK);
    this.state = "CLOSED";
  }

  receive({ flags, seq, ack, dataBytes }: Packet): void {
    if (flags & RST) return void (this.state = "CLOSED");
    if (this.state === "CLOSED") return this.#emit(RST | ACK);
    this.#expected = seq + dataBytes + (flags & (SYN | FIN) ? 1 : 0);
    if (this.state === "LISTEN" && flags & SYN) {
      this.#emit(SYN | ACK);
      return void (this.state = "SYN_RECEIVED");
    }
    if (this.state === "SYN_SENT" && flags & SYN && flags & ACK) {
      this.state = "ESTABLISHED";
      return this.#emit(ACK);
    }
    if (this.state === "SYN_RECEIVED" && flags & ACK) this.state = "ESTABLISHED";
    if (ack > this.#finSeq) {
      this.state = { FIN_WAIT_1: "FIN_WAIT_2", CLOSING: "TIME_WAIT", LAST_ACK: "CLOSED" }[this.state] ?? this.state;
    }
    if (flags & FIN) {
      this.state = { ESTABLISHED: "CLOSE_WAIT", FIN_WAIT_1: "CLOSING", FIN_WAIT_2: "TIME_WAIT" }[this.state] ??
        this.state;
      this.#emit(ACK);
    }
  }

  #emit(flags: number, dataBytes = 0): void {
    this.send({ from: this.side, flags, seq: this.#next, ack: flags & ACK ? this.#expected : 0, dataBytes });
    this.#next += (flags & (SYN | FIN) ? 1 : 0) + dataBytes;
  }
}

/** What the kernel keeps of the packets of a connection. */
class Observer implements TcpEvidence {
  synFrom: TcpEvidence["synFrom"] = NO_SIDE;
  synAckFrom: TcpEvidence["synAckFrom"] = NO_SIDE;
  finFrom: TcpEvidence["finFrom"] = NO_SIDE;
  isEstablished = false;
  readonly #flags = [0, 0];
  readonly #finSeq = [Infinity, Infinity];
  readonly #finAcked = [false, false];

  see({ from, flags, seq, ack }: Packet): void {
    this.#flags[from] |= flags;
    if (flags & SYN) {
      if (flags & ACK) this.synAckFrom = from;
      else this.synFrom = from;
    } else if (this.synAckFrom === otherSide(from)) this.isEstablished = true;
    if (flags & FIN) {
      if (this.finFrom === NO_SIDE) this.finFrom = from;
      this.#finSeq[from] = seq;
    }
    if (flags & ACK && ack > this.#finSeq[otherSide(from)]) this.#finAcked[otherSide(from)] = true;
  }

  tcpFlags(side: Side): number {
    return this.#flags[side];
  }

  isFinAcked(side: Side): boolean {
    return this.#finAcked[side];
  }
}

const NAMES: Record<string, string> = { FIN_WAIT_1: "fin_wait", FIN_WAIT_2: "fin_wait" };

/** A random connection, seen at the host of `source`; calls `check` with what is seen and what the end really has. */
function converse(random: () => number, source: Side, check: (seen: string, real: string) => void): void {
  const below = (limit: number) => Math.floor(random() * limit);
  const observer = new Observer();
  const wire: Packet[][] = [[], []];
  const send = (packet: Packet) => {
    if (packet.from === source) observer.see(packet);
    wire[packet.from].push(packet);
  };
  const client: Side = below(2) === 0 ? 0 : 1;
  const ends = ([0, 1] as const).map((side) => new TcpEnd(side, send, side !== client && random() < 0.9));
  ends[client].connect();
  for (let step = 0; step < 30; step++) {
    const side: Side = below(2) === 0 ? 0 : 1;
    const packet = random() < 0.7 ? wire[side].shift() : undefined;
    if (packet) {
      if (packet.from !== source) observer.see(packet);
      ends[otherSide(packet.from)].receive(packet);
    } else if (random() < 0.5) ends[side].write();
    else if (random() < 0.9) ends[side].close();
    else ends[side].abort();
    const { state } = ends[source];
    const isSeen = observer.tcpFlags(0) | observer.tcpFlags(1);
    if (isSeen) check(connectionState(observer, source), NAMES[state] ?? state.toLowerCase());
  }
}

Deno.test("connectionState() is what a TCP end at the observer really has, in any conversation", () => {
  const random = seededRandom(9293);
  const seen = new Set<string>();
  for (let round = 0; round < 20_000; round++) {
    converse(random, round % 2 === 0 ? 0 : 1, (state, real) => {
      seen.add(state);
      if (state !== real) assert.equal(state, real, `round ${round}`);
    });
  }
  assert.deepEqual([...seen].toSorted(), [...CONNECTION_STATES].toSorted(), "all states came up");
});
