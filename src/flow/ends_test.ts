import assert from "node:assert/strict";
import {
  endsDirection,
  type EndsEvidence,
  endsKind,
  icmpRequestSide,
  isOnThisHost,
  judgeEnds,
  type MaybeSide,
  NO_SIDE,
  otherSide,
  responderSide,
  sourceSide,
} from "./ends.ts";
import { type FlowDirection, SpanKind } from "./span.ts";

const NOTHING: EndsEvidence = {
  synFrom: NO_SIDE,
  synAckFrom: NO_SIDE,
  trackedFrom: NO_SIDE,
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
  const other = (side: MaybeSide): MaybeSide => side === NO_SIDE ? NO_SIDE : otherSide(side);
  return {
    synFrom: other(evidence.synFrom),
    synAckFrom: other(evidence.synAckFrom),
    trackedFrom: other(evidence.trackedFrom),
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
  return `${sourceSide(ends) === 0 ? "A" : "B"} ${kind}`;
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
  { name: "tracked connection", evidence: { trackedFrom: 0, firstFrom: 1 }, expected: "A CLIENT" },
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
  { name: "SYN-ACK over tracking", evidence: { synAckFrom: 1, trackedFrom: 1 }, expected: "A CLIENT" },
  { name: "tracking over listener", evidence: { trackedFrom: 0, listener: 0 }, expected: "A CLIENT" },
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

/** All evidence there can be, ports by kind; 105,000 cases. */
function* allEvidence(): Generator<EndsEvidence> {
  const sides: MaybeSide[] = [NO_SIDE, 0, 1];
  const ports = [0, 1, 1023, 1024, 32767, 32768];
  const flags = [false, true];
  for (const synFrom of sides) {
    for (const synAckFrom of sides) {
      for (const trackedFrom of sides) {
        for (const listener of sides) {
          for (const icmpRequestFrom of sides) {
            for (const firstFrom of sides) {
              for (const [aIsLocal, bIsLocal] of flags.flatMap((a) => flags.map((b) => [a, b]))) {
                for (const [portA, portB] of ports.flatMap((a) => ports.map((b) => [a, b]))) {
                  const evidence = { synFrom, synAckFrom, trackedFrom, listener, icmpRequestFrom, firstFrom };
                  yield { ...evidence, aIsLocal, bIsLocal, portA, portB };
                }
              }
            }
          }
        }
      }
    }
  }
}

/** The rules of `docs/attributes.md`, as a list of who may have begun the flow, strongest evidence first. */
function expectedEnds(evidence: EndsEvidence): { source: string; kind: string; initiator: string } {
  const end = (side: MaybeSide) => side === NO_SIDE ? "" : side === 0 ? "A" : "B";
  const not = (name: string) => ({ A: "B", B: "A", "": "" })[name]!;
  const isService = (port: number) => port >= 1 && port <= 1023;
  const isClient = (port: number) => port >= 32768;
  const { portA, portB } = evidence;
  const initiator = [
    end(evidence.synFrom),
    not(end(evidence.synAckFrom)),
    end(evidence.trackedFrom),
    not(end(evidence.listener)),
    end(evidence.icmpRequestFrom),
    isClient(portA) && isService(portB) ? "A" : isClient(portB) && isService(portA) ? "B" : "",
  ].find((name) => name !== "") ?? "";
  const here = [evidence.aIsLocal ? "A" : "", evidence.bIsLocal ? "B" : ""].filter((name) => name !== "");
  const source = here.length === 1 ? here[0] : initiator || end(evidence.firstFrom) || "A";
  return { source, kind: initiator === "" ? "INTERNAL" : initiator === source ? "CLIENT" : "SERVER", initiator };
}

Deno.test("judgeEnds() agrees with a plain list of the rules on all evidence there can be, and fits in a byte", () => {
  let count = 0;
  for (const evidence of allEvidence()) {
    const { source, kind, initiator } = expectedEnds(evidence);
    const ends = judgeEnds(evidence);
    if (describe(evidence) !== `${source} ${kind}`) assert.equal(describe(evidence), `${source} ${kind}`);
    const responder = initiator === "" ? NO_SIDE : initiator === "A" ? 1 : 0;
    if (responderSide(ends) !== responder) assert.equal(responderSide(ends), responder);
    const local = [isOnThisHost(ends, 0), isOnThisHost(ends, 1)];
    if (local[0] !== evidence.aIsLocal || local[1] !== evidence.bIsLocal) {
      assert.deepEqual(local, [evidence.aIsLocal, evidence.bIsLocal]);
    }
    assert.ok(ends >= 0 && ends < 32);
    count++;
  }
  assert.equal(count, 3 ** 6 * 4 * 36);
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
