import { deepEqual } from "node:assert/strict";
import { ABSENT } from "./span.ts";
import { tcpFlagTags } from "./tcp_flags.ts";

const TAGS: [bits: number, tags: string[]][] = [
  [ABSENT, []],
  [0, []],
  [0x02, ["syn"]],
  [0xff, ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"]],
];

for (const [bits, tags] of TAGS) {
  Deno.test(`tcpFlagTags() names the flags of ${bits}`, () => deepEqual(tcpFlagTags(bits), tags));
}
