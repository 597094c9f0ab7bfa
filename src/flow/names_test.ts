import assert from "node:assert/strict";
import { dscpName, dscpNames, ecnName, endReasonCode, endReasonName, protocolName } from "./names.ts";
import { ABSENT } from "./span.ts";

Deno.test("protocolName() knows the IANA numbers", () => {
  // One of every row of the table, so that a lost entry shifts one of them.
  const expected: Record<number, string> = {
    0: "hopopt",
    1: "icmp",
    2: "igmp",
    4: "ipv4",
    6: "tcp",
    17: "udp",
    27: "rdp",
    33: "dccp",
    36: "xtp",
    41: "ipv6",
    43: "ipv6-route",
    46: "rsvp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    60: "ipv6-opts",
    73: "cphb",
    81: "vmtp",
    88: "eigrp",
    89: "ospfigp",
    94: "ipip",
    97: "etherip",
    103: "pim",
    108: "ipcomp",
    112: "vrrp",
    115: "l2tp",
    124: "isis-over-ipv4",
    132: "sctp",
    133: "fc",
    135: "mobility-header",
    136: "udplite",
    137: "mpls-in-ip",
    139: "hip",
    141: "wesp",
    143: "ethernet",
    147: "bit-emu",
  };
  for (const [number, name] of Object.entries(expected)) assert.equal(protocolName(Number(number)), name);
});

Deno.test("protocolName() says proto_<n> where IANA has no keyword", () => {
  for (const number of [61, 63, 68, 99, 114, 148, 252, 253, 254, 255]) {
    assert.equal(protocolName(number), `proto_${number}`);
  }
});

Deno.test("protocolName() is unique, lower case and without spaces", () => {
  const names = Array.from({ length: 256 }, (_, number) => protocolName(number));
  assert.equal(new Set(names).size, 256);
  for (const name of names) assert.match(name, /^[a-z0-9_.+/-]+$/);
});

Deno.test("endReasonName() and endReasonCode() are the IPFIX codes, both ways", () => {
  const names = [1, 2, 3, 4, 5].map(endReasonName);
  assert.deepEqual(names, [
    "idle_timeout",
    "active_timeout",
    "end_of_flow_detected",
    "forced_end",
    "lack_of_resources",
  ]);
  assert.deepEqual(names.map(endReasonCode), [1, 2, 3, 4, 5]);
  for (const code of [0, 6, -1, 255]) assert.equal(endReasonName(code), "unknown");
});

Deno.test("dscpName() is the lower-case IANA name, and empty where there is none", () => {
  const cases: [id: number, name: string][] = [
    ...[[0, "cs0"], [1, "le"], [8, "cs1"], [56, "cs7"], [10, "af11"], [38, "af43"]] as [number, string][],
    ...[[44, "voice-admit"], [45, "nqb"], [46, "ef"], [2, ""], [63, ""], [ABSENT, ""]] as [number, string][],
  ];
  for (const [id, name] of cases) assert.equal(dscpName(id), name);
  const names = Array.from({ length: 64 }, (_, id) => dscpName(id)).filter((name) => name !== "");
  assert.deepEqual(names.toSorted(), dscpNames().toSorted());
  assert.equal(new Set(names).size, 8 + 12 + 4);
});

Deno.test("dscpName() of assured forwarding AFxy is 8x + 2y (RFC 2597)", () => {
  for (const x of [1, 2, 3, 4]) for (const y of [1, 2, 3]) assert.equal(dscpName(8 * x + 2 * y), `af${x}${y}`);
});

Deno.test("ecnName() names the codepoints of RFC 3168", () => {
  assert.deepEqual([0b00, 0b01, 0b10, 0b11, ABSENT].map(ecnName), ["not-ect", "ect1", "ect0", "ce", ""]);
});
