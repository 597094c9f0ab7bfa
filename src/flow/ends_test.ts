import assert from "node:assert/strict";
import {
  endsDirection,
  type EndsEvidence,
  endsKind,
  icmpRequestSide,
  judgeEnds,
  type MaybeSide,
  NO_SIDE,
  sourceIsA,
} from "./ends.ts";
import { type FlowDirection, SpanKind } from "./span.ts";

const NOTHING: EndsEvidence = {
  synFrom: NO_SIDE,
  synAckFrom: NO_SIDE,
  listener: NO_SIDE,
  icmpRequestFrom: NO_SIDE,
  portA: 0,
  portB: 0,
  aIsLocal: false,
  bIsLocal: false,
  firstFrom: NO_SIDE,
};

/** Ends swapped: what A did is told of B. */
function mirrored(evidence: EndsEvidence): EndsEvidence {
  const other = (side: MaybeSide): MaybeSide => side === NO_SIDE ? NO_SIDE : side === 0 ? 1 : 0;
  return {
    synFrom: other(evidence.synFrom),
    synAckFrom: other(evidence.synAckFrom),
    listener: other(evidence.listener),
    icmpRequestFrom: other(evidence.icmpRequestFrom),
    portA: evidence.portB,
    portB: evidence.portA,
    aIsLocal: evidence.bIsLocal,
    bIsLocal: evidence.aIsLocal,
    firstFrom: other(evidence.firstFrom),
  };
}

function verdict(evidence: Partial<EndsEvidence>): string {
  return describe({ ...NOTHING, ...evidence });
}

function describe(evidence: EndsEvidence): string {
  const ends = judgeEnds(evidence);
  const direction: Record<number, FlowDirection> = {
    [SpanKind.CLIENT]: "forward",
    [SpanKind.SERVER]: "reverse",
    [SpanKind.INTERNAL]: "unknown",
  };
  assert.equal(endsDirection(ends), direction[endsKind(ends)]);
  const kind = Object.entries(SpanKind).find(([, value]) => value === endsKind(ends))?.[0];
  return `${sourceIsA(ends) ? "A" : "B"} ${kind}`;
}

/** Evidence about end A as the one that acts; the test also runs each case with the ends swapped. */
const CASES: { name: string; evidence: Partial<EndsEvidence>; expected: string }[] = [
  // Who began, with no end of this host: the source is the initiator.
  { name: "SYN", evidence: { synFrom: 0, firstFrom: 0 }, expected: "A CLIENT" },
  { name: "SYN that arrived after other packets", evidence: { synFrom: 0, firstFrom: 1 }, expected: "A CLIENT" },
  {
    name: "SYN-ACK only: its sender is the responder",
    evidence: { synAckFrom: 1, firstFrom: 1 },
    expected: "A CLIENT",
  },
  { name: "listener on the other end", evidence: { listener: 1, firstFrom: 1 }, expected: "A CLIENT" },
  { name: "ICMP request", evidence: { icmpRequestFrom: 0, firstFrom: 1 }, expected: "A CLIENT" },
  { name: "ephemeral to system port", evidence: { portA: 40000, portB: 443, firstFrom: 1 }, expected: "A CLIENT" },
  { name: "lowest ephemeral, highest system", evidence: { portA: 32768, portB: 1023 }, expected: "A CLIENT" },

  // Not enough to tell the roles: the sender of the first packet is the source.
  { name: "nothing but a first packet", evidence: { firstFrom: 0 }, expected: "A INTERNAL" },
  { name: "two system ports", evidence: { portA: 123, portB: 123, firstFrom: 0 }, expected: "A INTERNAL" },
  { name: "two ephemeral ports", evidence: { portA: 40000, portB: 50000, firstFrom: 0 }, expected: "A INTERNAL" },
  { name: "registered against system", evidence: { portA: 2049, portB: 700, firstFrom: 0 }, expected: "A INTERNAL" },
  { name: "just below ephemeral", evidence: { portA: 32767, portB: 53, firstFrom: 0 }, expected: "A INTERNAL" },
  { name: "just above system", evidence: { portA: 50000, portB: 1024, firstFrom: 0 }, expected: "A INTERNAL" },
  { name: "port 0 is no service", evidence: { portA: 50000, portB: 0, firstFrom: 0 }, expected: "A INTERNAL" },

  // Exactly one end on this host: it is the source, whoever began.
  { name: "this host began", evidence: { synFrom: 0, aIsLocal: true }, expected: "A CLIENT" },
  { name: "this host answered", evidence: { synFrom: 0, bIsLocal: true }, expected: "B SERVER" },
  { name: "roles unknown, this host named", evidence: { firstFrom: 0, bIsLocal: true }, expected: "B INTERNAL" },
  {
    name: "both ends here: the initiator",
    evidence: { synFrom: 0, aIsLocal: true, bIsLocal: true },
    expected: "A CLIENT",
  },
  {
    name: "both ends here, roles unknown",
    evidence: { firstFrom: 0, aIsLocal: true, bIsLocal: true },
    expected: "A INTERNAL",
  },
  {
    name: "first met at the SYN-ACK, on the server",
    evidence: { synAckFrom: 1, bIsLocal: true },
    expected: "B SERVER",
  },

  // Conflicts: the stronger evidence wins.
  {
    name: "SYN over SYN-ACK of the same end (both opened)",
    evidence: { synFrom: 0, synAckFrom: 0 },
    expected: "A CLIENT",
  },
  { name: "SYN over listener", evidence: { synFrom: 0, listener: 0 }, expected: "A CLIENT" },
  { name: "SYN over ports", evidence: { synFrom: 0, portA: 80, portB: 50000 }, expected: "A CLIENT" },
  { name: "SYN-ACK over listener", evidence: { synAckFrom: 1, listener: 0 }, expected: "A CLIENT" },
  { name: "SYN-ACK over ports", evidence: { synAckFrom: 1, portA: 80, portB: 50000 }, expected: "A CLIENT" },
  { name: "listener over ICMP", evidence: { listener: 1, icmpRequestFrom: 1 }, expected: "A CLIENT" },
  { name: "listener over ports", evidence: { listener: 1, portA: 80, portB: 50000 }, expected: "A CLIENT" },
  { name: "ports over first packet", evidence: { portA: 50000, portB: 80, firstFrom: 1 }, expected: "A CLIENT" },
];

Deno.test("judgeEnds() weighs the evidence, whichever end is called A", async (t) => {
  for (const { name, evidence, expected } of CASES) {
    await t.step(name, () => {
      assert.equal(verdict(evidence), expected);
      const other = expected.startsWith("A") ? expected.replace("A", "B") : expected.replace("B", "A");
      assert.equal(describe(mirrored({ ...NOTHING, ...evidence })), other);
    });
  }
});

Deno.test("judgeEnds() takes end A when nothing at all is known", () => {
  assert.equal(verdict({}), "A INTERNAL");
});

Deno.test("judgeEnds() fits in a byte", () => {
  for (const { evidence } of CASES) assert.ok(judgeEnds({ ...NOTHING, ...evidence }) < 8);
});

Deno.test("icmpRequestSide() reads the canonical tuple's first port", () => {
  const cases: [number, number, MaybeSide][] = [
    [1, 8, 0],
    [1, 0, 1],
    [1, 3, NO_SIDE],
    [58, 128, 0],
    [58, 129, 1],
    [58, 1, NO_SIDE],
    [6, 8, NO_SIDE],
  ];
  for (const [protocol, portA, side] of cases) assert.equal(icmpRequestSide(protocol, portA), side);
});
