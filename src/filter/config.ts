import { checkCidr, checkRange, group, inWords, labelled, list, nearest, text, type ValueOf } from "../config/mod.ts";
import {
  DSCPS,
  ECNS,
  ICMP_CODES,
  ICMP_TYPES,
  isGlob,
  namesOf,
  NETWORK_TYPES,
  STATES,
  TCP_FLAGS,
  TRANSPORTS,
  type Vocabulary,
} from "./vocabulary.ts";

type Check = (value: string) => string | undefined;

/** Vocabularies up to this size are told in full. */
const SHORT = 10;

function rule(doc: string, what: string, check: Check) {
  const item = text("", "One pattern.", { what, check });
  return group(doc, {
    match: list(item, [], "What is kept, unless the list is empty; a flow that has no such value is dropped."),
    not_match: list(item, [], "What is dropped; a flow that has no such value is kept."),
  });
}

const addresses = (doc: string) => rule(doc, "an IP address or range", checkCidr);
const numbers = (doc: string, max: number) => rule(doc, "a number or range", checkRange(max));
const names = (doc: string, vocabulary: Vocabulary) => rule(doc, "a name or a glob", checkName(vocabulary));

/** `filter "source"`, `"destination"`, `"network"` and `"flow"`: which flows become records; all of them must agree. */
export const filterSettings = labelled("Which flows become records; all rules must agree.", {
  source: group("By where a flow comes from.", {
    address: addresses("Addresses and ranges of them."),
    port: numbers("Ports and ranges of them.", 65535),
  }),
  destination: group("By where a flow goes to.", {
    address: addresses("Addresses and ranges of them."),
    port: numbers("Ports and ranges of them.", 65535),
  }),
  network: group("By how a flow travels.", {
    transport: names("Transport protocols, such as tcp, udp or icmpv6.", TRANSPORTS),
    type: names("Network types, ipv4 or ipv6.", NETWORK_TYPES),
    interface_name: rule("Interfaces that count, by name.", "a name or a glob", checkInterfaceName),
    interface_index: numbers("Interfaces that count, by index.", 2 ** 31 - 1),
    interface_mac: rule("Interfaces that count, by MAC address.", "a MAC address or a glob", checkMac),
  }),
  flow: group("By what a flow is; the way back does not count.", {
    connection_state: names(`TCP states of the source: ${inWords(STATES.names)}.`, STATES),
    tcp_flags_tags: names(
      `TCP flags that the source has sent, one of which is enough: ${inWords(TCP_FLAGS.names)}.`,
      TCP_FLAGS,
    ),
    ip_dscp_name: names("DSCP names, such as ef or af*.", DSCPS),
    ip_ecn_name: names(`ECN names: ${inWords(ECNS.names)}.`, ECNS),
    ip_ttl: numbers("TTL or hop limit.", 255),
    ip_flow_label: numbers("IPv6 flow labels.", 2 ** 20 - 1),
    icmp_type_name: names("ICMP and ICMPv6 types, such as echo*.", ICMP_TYPES),
    icmp_code_name: names("ICMP and ICMPv6 codes, such as port_unreachable.", ICMP_CODES),
  }),
});

export type FilterConfig = ValueOf<typeof filterSettings>;
/** One row of it. */
export type Rule = FilterConfig["source"]["port"];

function checkName(vocabulary: Vocabulary): Check {
  const { names, synonyms = {} } = vocabulary;
  return (value) => {
    if (namesOf(value, vocabulary).length > 0) return undefined;
    const known = [...names, ...Object.keys(synonyms)];
    const near = isGlob(value) ? undefined : nearest(value, known);
    if (near !== undefined) return `unknown; did you mean "${near}"?`;
    const what = isGlob(value) ? "fits none of the known names" : "unknown";
    const some = names.length <= SHORT ? inWords(names, "or") : `a name such as ${inWords(examples(names), "or")}`;
    return `${what}; write ${some}`;
  };
}

function examples(names: readonly string[]): string[] {
  return ["tcp", "udp", "ef", "cs0", "echo", "port_unreachable"].filter((name) => names.includes(name));
}

function checkInterfaceName(value: string): string | undefined {
  if (value === "") return "empty; write a name or a glob";
  return /[\s/]/.test(value) ? "no interface has a space or a slash in its name" : undefined;
}

function checkMac(value: string): string | undefined {
  const isMac = isGlob(value) ? /^[\da-f:*?]+$/i.test(value) : /^[\da-f]{2}(:[\da-f]{2}){5}$/i.test(value);
  return isMac ? undefined : `not a MAC address or a glob; write for example "02:42:ac:11:00:02" or "02:42:*"`;
}
