/** What the records of a flow say beside its counters, for frames that the test makes. */

import assert from "node:assert/strict";
import type { CaptureSession, OpenOptions } from "../../src/capture/mod.ts";
import { NO_SIDE, type Side } from "../../src/flow/ends.ts";
import { NO_VLAN } from "../../src/flow/record.ts";
import type { RecordValues } from "../../src/flow/testing.ts";
import { type Frame, type IpFields, type Segment, type Talk, tcpFrames, udpFrames } from "../harness/frames.ts";
import { Network } from "../harness/netns.ts";
import { Traffic } from "../harness/traffic.ts";
import { sweep } from "./records.ts";
import { attachTo, openSession, sessionOptions } from "./session.ts";

const [CLIENT_PORT, SERVER_PORT] = [40_000, 700];
const MS = 1_000_000;
const LATEST_MS = 30_000;
const END_OF_FLOW_DETECTED = 3;
/** The left end is side 0, and here the client. */
const CLIENT: Side = 0;
const SERVER: Side = 1;

interface Play {
  session: CaptureSession;
  network: Network;
  /** Puts frames on the wire. */
  play: (frames: Frame[]) => Promise<void>;
  talk: (change?: Partial<Talk>) => Talk;
}

async function withPlay(options: Partial<OpenOptions>, body: (play: Play) => Promise<void>): Promise<void> {
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  for (const { namespace, interfaceName } of [left, right]) {
    // The hooks see the test's frames all the same, and nobody answers those of IPv6.
    await namespace.run(["sysctl", "-qw", `net.ipv6.conf.${interfaceName}.disable_ipv6=1`]);
  }
  using opened = await openSession(sessionOptions(left, options));
  const { session } = opened;
  await attachTo(session, left.interfaceName);
  const ends = { client: left, clientPort: CLIENT_PORT, server: right, serverPort: SERVER_PORT };
  await body({
    session,
    network,
    play: async (frames) => {
      await traffic.play(network, frames);
      await network.untilQuiet();
    },
    talk: (change) => ({ family: "ipv4", ...ends, ...change }),
  });
}

const HANDSHAKE: Segment[] = [["client", 0, "syn"], ["server", 40, "syn ack"], ["client", 50, "ack"]];
const QUESTIONS: Segment[] = [
  ["client", 60, "psh ack", 100],
  ["server", 61, "ack"],
  ["server", 100, "psh ack", 50],
  ["server", 101, "psh ack", 50],
  ["client", 200, "psh ack", 1],
  ["server", 260, "psh ack", 1],
];
const GOOD_BYE: Segment[] = [
  ["server", 270, "fin ack", 7],
  ["client", 280, "ack", 0, 1],
  ["client", 290, "ack"],
  ["client", 300, "fin ack"],
  ["server", 310, "ack"],
];

function assertAbout(ns: number, ms: number, what: string): void {
  // Frames never come sooner after each other than they should, and on a busy machine they come much later.
  assert.ok(ns > ms * MS / 2 && ns < LATEST_MS * MS, `${what} is ${ns / MS} ms instead of ${ms}`);
}

for (const family of ["ipv4", "ipv6"] as const) {
  Deno.test(`records tell how a TCP connection goes (${family})`, async () => {
    await withPlay({}, async ({ session, play, talk }) => {
      const all = [...HANDSHAKE, ...QUESTIONS, ...GOOD_BYE];
      await play(tcpFrames(talk({ family }), all));
      const [record, ...more] = await sweep(session);
      assert.deepEqual(more, []);
      assert.deepEqual([record.synFrom, record.synAckFrom, record.finFrom], [CLIENT, SERVER, SERVER]);
      assert.deepEqual([record.isEstablished, record.isFinAcked], [true, [true, true]]);
      assert.deepEqual(record.latencyCount, [1, 2]);
      assertAbout(record.handshakeNs, 40, "the handshake");
      assertAbout(record.latencyNs[SERVER], (40 + 60) / 2, "the server's latency");
      assertAbout(record.latencyNs[CLIENT], 99, "the client's latency");
      assert.ok(record.jitterNs[SERVER] > 0 && record.jitterNs[SERVER] < LATEST_MS * MS);
      assert.equal(record.jitterNs[CLIENT], 0);
    });
  });
}

const stages: { name: string; segments: Segment[]; expected: Partial<RecordValues> }[] = [
  {
    name: "only the SYN",
    segments: HANDSHAKE.slice(0, 1),
    expected: { synFrom: CLIENT, synAckFrom: NO_SIDE, isEstablished: false, handshakeNs: 0 },
  },
  {
    name: "refused",
    segments: [["client", 0, "syn"], ["server", 1, "rst ack"]],
    expected: { synFrom: CLIENT, synAckFrom: NO_SIDE, isEstablished: false },
  },
  {
    name: "up to the SYN-ACK",
    segments: HANDSHAKE.slice(0, 2),
    expected: { synFrom: CLIENT, synAckFrom: SERVER, isEstablished: false },
  },
  {
    name: "reset by the scanner",
    segments: [...HANDSHAKE.slice(0, 2), ["client", 45, "rst"]],
    expected: { synAckFrom: SERVER, isEstablished: false },
  },
  { name: "established", segments: HANDSHAKE, expected: { isEstablished: true, finFrom: NO_SIDE } },
  {
    name: "first met at its SYN-ACK",
    segments: HANDSHAKE.slice(1),
    expected: { synFrom: NO_SIDE, synAckFrom: SERVER, firstFrom: SERVER, isEstablished: true, handshakeNs: 0 },
  },
  {
    name: "met in the middle",
    segments: QUESTIONS,
    expected: { synFrom: NO_SIDE, synAckFrom: NO_SIDE, isEstablished: true, latencyCount: [1, 2] },
  },
  {
    name: "FIN of one side, not acknowledged to its end",
    segments: [...HANDSHAKE, ...GOOD_BYE.slice(0, 2)],
    expected: { finFrom: SERVER, isFinAcked: [false, false] },
  },
  {
    name: "FIN of one side, acknowledged",
    segments: [...HANDSHAKE, ...GOOD_BYE.slice(0, 3)],
    expected: { finFrom: SERVER, isFinAcked: [false, true] },
  },
  {
    name: "FIN of both sides, one acknowledged",
    segments: [...HANDSHAKE, ...GOOD_BYE.slice(0, 4)],
    expected: { finFrom: SERVER, isFinAcked: [false, true] },
  },
];
for (const { name, segments, expected } of stages) {
  Deno.test(`records tell how far a TCP connection came: ${name}`, async () => {
    await withPlay({}, async ({ session, play, talk }) => {
      await play(tcpFrames(talk(), segments));
      const [record] = await sweep(session);
      const told = Object.fromEntries(Object.keys(expected).map((key) => [key, record[key as keyof RecordValues]]));
      assert.deepEqual(told, expected);
    });
  });
}

Deno.test("records tell the IP fields of each side's first packet in the window", async () => {
  await withPlay({}, async ({ session, play, talk }) => {
    const fields = (ttl: number, dscp: number, ecn: number, flowLabel: number): IpFields => ({
      ttl,
      dscp,
      ecn,
      flowLabel,
    });
    const family = "ipv6" as const;
    const send = (sender: "client" | "server", ip: IpFields) =>
      udpFrames(talk({ family, clientIp: ip, serverIp: ip }), [[sender, 0, 10]]);
    await play([...send("client", fields(9, 46, 1, 0xf_ffff)), ...send("client", fields(10, 0, 0, 5))]);
    await play(send("server", fields(255, 63, 3, 1)));
    const told = ({ isIpKnown, ttl, trafficClass, flowLabel }: RecordValues, side: number) =>
      isIpKnown[side] && [ttl[side], trafficClass[side], flowLabel[side]];
    const [first] = await sweep(session, { activeMs: 0.001 });
    assert.deepEqual([told(first, 0), told(first, 1)], [[9, 46 << 2 | 1, 0xf_ffff], [255, 0xff, 1]]);
    await play(send("server", fields(77, 8, 0, 3)));
    const [second] = await sweep(session, { activeMs: 0.001 });
    assert.deepEqual([told(second, 0), told(second, 1)], [false, [77, 8 << 2, 3]]);
    assert.ok(first.endNs < second.startNs && second.startNs === second.endNs);
    await play(send("client", fields(78, 9, 0, 4)));
    const [third] = await sweep(session);
    assert.deepEqual([told(third, 0), told(third, 1)], [[78, 9 << 2, 4], false]);
  });
});

/** A datagram whose protocol is another and whose payload begins with `head`. */
function disguised(talk: Talk, sender: "client" | "server", protocol: number, head: number[]): Frame[] {
  return udpFrames(talk, [[sender, 0, 40]]).map((frame) => {
    const bytes = Uint8Array.from(frame.bytes);
    bytes[14 + 9] = protocol;
    bytes.set(head, 14 + 20);
    return { ...frame, bytes };
  });
}

Deno.test("records tell the SPI of each side, and type and code of ICMP", async () => {
  await withPlay({}, async ({ session, play, talk }) => {
    const [ICMP, ESP, AH] = [1, 50, 51];
    await play([
      ...disguised(talk(), "client", ESP, [1, 2, 3, 4]),
      ...disguised(talk(), "server", ESP, [0xf1, 2, 3, 4]),
      ...disguised(talk(), "client", AH, [6, 4, 0, 0, 5, 6, 7, 8]),
      ...disguised(talk(), "client", ICMP, [13, 0]),
      ...disguised(talk(), "server", ICMP, [14, 0]),
      ...disguised(talk(), "server", ICMP, [3, 13]),
    ]);
    const of = (records: RecordValues[], protocol: number) => records.filter((record) => record.protocol === protocol);
    const records = await sweep(session);
    assert.deepEqual(of(records, ESP).map(({ spi }) => spi), [[0x0102_0304, 0xf102_0304]]);
    assert.deepEqual(of(records, AH).map(({ spi }) => spi), [[0x0506_0708, 0]]);
    const icmp = of(records, ICMP).map(({ isIcmpKnown, icmpType, icmpCode }) => ({ isIcmpKnown, icmpType, icmpCode }));
    assert.deepEqual(icmp.sort((a, b) => b.icmpType[0] - a.icmpType[0]), [
      { isIcmpKnown: [true, true], icmpType: [13, 14], icmpCode: [0, 0] },
      // One-way ICMP keeps the sender as side 0.
      { isIcmpKnown: [true, false], icmpType: [3, 0], icmpCode: [13, 0] },
    ]);
  });
});

/** The frame with one more tag, outside of all others. */
function tagged(frame: Frame, vlan: number): Frame {
  const [type, control] = [[0x88, 0xa8], [0x60 | vlan >> 8, vlan & 0xff]];
  return {
    ...frame,
    bytes: new Uint8Array([...frame.bytes.slice(0, 12), ...type, ...control, ...frame.bytes.slice(12)]),
  };
}

for (const keyScope of ["none", "vni"] as const) {
  Deno.test(`records tell the innermost VLAN id, wherever the kernel keeps the tag (key_scope ${keyScope})`, async () => {
    await withPlay({ keyScope }, async ({ session, play, talk }) => {
      // What leaves has its tags in the frame; of what comes in the kernel has taken the outer one out of it.
      const datagrams = (vlan: number | undefined) =>
        udpFrames(talk({ clientIp: { vlan }, serverIp: { vlan } }), [["client", 0, 10], ["server", 0, 10]]);
      await play(datagrams(100));
      await play(datagrams(100).map((frame) => tagged(frame, 200)));
      await play(datagrams(7));
      await play(datagrams(undefined));
      // No id, only a priority.
      await play(datagrams(0));
      const records = (await sweep(session)).map(({ vlan, packetsDelta, bytesDelta }) => ({
        vlan,
        packetsDelta,
        bytesDelta,
      }));
      const { hooks } = session.counters();
      const conflicts = hooks.reduce((sum, { keyScopeConflict }) => sum + keyScopeConflict, 0);
      const bytes = 14 + 20 + 8 + 10;
      if (keyScope === "none") {
        const all = 5 * bytes + 5 * 4;
        assert.deepEqual(records, [{ vlan: 100, packetsDelta: [5, 5], bytesDelta: [all, all] }]);
        assert.equal(conflicts, 6);
        return;
      }
      assert.deepEqual(records.sort((a, b) => a.vlan - b.vlan), [
        { vlan: 7, packetsDelta: [1, 1], bytesDelta: [bytes + 4, bytes + 4] },
        { vlan: 100, packetsDelta: [2, 2], bytesDelta: [2 * bytes + 12, 2 * bytes + 12] },
        { vlan: NO_VLAN, packetsDelta: [2, 2], bytesDelta: [2 * bytes + 4, 2 * bytes + 4] },
      ]);
      assert.equal(conflicts, 0);
    });
  });
}

const ends: { name: string; last: Segment[]; isOver: boolean }[] = [
  { name: "reset", last: [["server", 60, "rst"]], isOver: true },
  { name: "closed by both", last: [["client", 60, "fin ack"], ["server", 60, "fin ack"]], isOver: true },
  { name: "closed by one", last: [["client", 60, "fin ack"]], isOver: false },
  { name: "open", last: [], isOver: false },
];
for (const { name, last, isOver } of ends) {
  Deno.test(`a SYN on ports whose connection is ${name} ${isOver ? "begins another flow" : "belongs to it"}`, async () => {
    await withPlay({}, async ({ session, play, talk }) => {
      const once = [...HANDSHAKE, ...last];
      await play(tcpFrames(talk(), once));
      await play(tcpFrames(talk(), HANDSHAKE));
      const ended = await sweep(session, {});
      const packets = ({ packetsDelta: [a, b] }: RecordValues) => a + b;
      assert.deepEqual(ended.map(packets), isOver ? [once.length] : []);
      for (const record of ended) {
        assert.deepEqual([record.endReasonCode, record.isLast, record.isFirst], [END_OF_FLOW_DETECTED, true, true]);
      }
      const [rest, ...more] = await sweep(session);
      assert.deepEqual([packets(rest), more], [HANDSHAKE.length + (isOver ? 0 : once.length), []]);
      assert.deepEqual(session.counters().used, 0);
    });
  });
}

for (const raceWindow of [0, 1000]) {
  Deno.test(`connections on the same ports, one after the other while flows are retired, stay apart (${raceWindow})`, async () => {
    await withPlay({ raceWindow }, async ({ session, play, talk }) => {
      const connection: Segment[] = [["client", 0, "syn"], ["client", 0, "ack"], ["client", 0, "rst"]];
      const connections = 3000;
      const frames = Array.from({ length: connections }, () => tcpFrames(talk(), connection)).flat();
      let done = false;
      const played = play(frames).finally(() => done = true);
      const records: RecordValues[] = [];
      while (!done) records.push(...await sweep(session, { tcpRstMs: 1 }));
      await played;
      records.push(...await sweep(session), ...await sweep(session));
      const packets = records.reduce((sum, { packetsDelta: [a, b] }) => sum + a + b, 0);
      assert.equal(packets, frames.length);
      const { used, leaked, created, hooks } = session.counters();
      assert.deepEqual([used, leaked], [0, 0]);
      assert.ok(created >= connections / 2, `only ${created} flows were made`);
      for (const { lost } of hooks) assert.deepEqual(lost, [0, 0, 0]);
    });
  });
}
