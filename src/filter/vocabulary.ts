/** The names that filters know, and what a pattern means among them. */

import { CONNECTION_STATES } from "../flow/connection_state.ts";
import { icmpCodeNames, icmpTypeNames } from "../flow/icmp_names.ts";
import { dscpNames, ECN_NAMES, protocolNames } from "../flow/names.ts";
import { TCP_FLAG_NAMES } from "../flow/tcp_flags.ts";

/** All values that an attribute can have. */
export interface Vocabulary {
  readonly names: readonly string[];
  /** Other names that are in use, with the names they stand for. */
  readonly synonyms?: Readonly<Record<string, readonly string[]>>;
}

export const TRANSPORTS: Vocabulary = {
  names: protocolNames(),
  synonyms: { "udp-lite": ["udplite"], "ipv6-icmp": ["icmpv6"] },
};
export const NETWORK_TYPES: Vocabulary = { names: ["ipv4", "ipv6"] };
export const STATES: Vocabulary = { names: CONNECTION_STATES };
export const TCP_FLAGS: Vocabulary = { names: TCP_FLAG_NAMES };
export const DSCPS: Vocabulary = { names: dscpNames(), synonyms: { df: ["cs0"], default: ["cs0"], be: ["cs0"] } };
export const ECNS: Vocabulary = { names: ECN_NAMES, synonyms: { "non-ect": ["not-ect"] } };
export const ICMP_TYPES: Vocabulary = {
  names: [...new Set(icmpTypeNames())],
  // What IANA calls "Echo" in ICMPv4 is an "Echo Request" in ICMPv6; who filters the one means both.
  synonyms: { echo_request: ["echo", "echo_request"] },
};
export const ICMP_CODES: Vocabulary = { names: [...new Set(icmpCodeNames())] };

/** The names that `pattern` means, in any case: a name, a synonym, or a glob of names. */
export function namesOf(pattern: string, { names, synonyms = {} }: Vocabulary): readonly string[] {
  const wanted = pattern.toLowerCase();
  if (isGlob(wanted)) {
    const expression = globExpression(wanted);
    return names.filter((name) => expression.test(name));
  }
  if (Object.hasOwn(synonyms, wanted)) return synonyms[wanted];
  return names.includes(wanted) ? [wanted] : [];
}

/** Whether `pattern` has a wildcard: `*` is any characters, `?` exactly one. */
export function isGlob(pattern: string): boolean {
  return /[*?]/.test(pattern);
}

/** The whole of a text, in any case. */
export function globExpression(glob: string): RegExp {
  const source = Array.from(glob, (char) => char === "*" ? ".*" : char === "?" ? "." : RegExp.escape(char)).join("");
  return new RegExp(`^${source}$`, "is");
}
