/** TCP flags as bits, and their names. */

import { ABSENT } from "./span.ts";

/** Bits of the flags that the rules look at, as in the header's byte 13 (RFC 9293, section 3.1). */
export const TcpFlag = { FIN: 1, SYN: 2, RST: 4 } as const;

/** Flag names in the order of their bits, FIN = 1 (RFC 9293, section 3.1; ECE and CWR: RFC 3168). */
export const TCP_FLAG_NAMES = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"] as const;

const NO_TAGS: readonly string[] = [];

/** By bits, each made when it is first asked for: a few of them are in every span of TCP. */
const tagsOfBits: (readonly string[])[] = [];

/** Names of the TCP flags in `bits`, lowest bit first; empty when the flags are not known. */
export function tcpFlagTags(bits: number): readonly string[] {
  if (bits === ABSENT) return NO_TAGS;
  return tagsOfBits[bits] ??= TCP_FLAG_NAMES.filter((_, bit) => bits & (1 << bit));
}
