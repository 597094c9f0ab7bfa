/** Numbers of the network and the names that spans use for them. */

import type { EndReason } from "./span.ts";

/**
 * Keyword of each IP protocol number, lower case, spaces as hyphens, `""` where IANA gives no keyword.
 *
 * Source: IANA "Assigned Internet Protocol Numbers". 58 is `icmpv6`, the name in common use, instead of `ipv6-icmp`.
 */
const PROTOCOL_NAMES: readonly string[] = [
  ...["hopopt", "icmp", "igmp", "ggp", "ipv4", "st", "tcp", "cbt", "egp", "igp"], // 0
  ...["bbn-rcc-mon", "nvp-ii", "pup", "argus", "emcon", "xnet", "chaos", "udp", "mux", "dcn-meas"], // 10
  ...["hmp", "prm", "xns-idp", "trunk-1", "trunk-2", "leaf-1", "leaf-2", "rdp", "irtp", "iso-tp4"], // 20
  ...["netblt", "mfe-nsp", "merit-inp", "dccp", "3pc", "idpr", "xtp", "ddp", "idpr-cmtp", "tp++"], // 30
  ...["il", "ipv6", "sdrp", "ipv6-route", "ipv6-frag", "idrp", "rsvp", "gre", "dsr", "bna"], // 40
  ...["esp", "ah", "i-nlsp", "swipe", "narp", "min-ipv4", "tlsp", "skip", "icmpv6", "ipv6-nonxt"], // 50
  ...["ipv6-opts", "", "cftp", "", "sat-expak", "kryptolan", "rvd", "ippc", "", "sat-mon"], // 60
  ...["visa", "ipcv", "cpnx", "cphb", "wsn", "pvp", "br-sat-mon", "sun-nd", "wb-mon", "wb-expak"], // 70
  ...["iso-ip", "vmtp", "secure-vmtp", "vines", "iptm", "nsfnet-igp", "dgp", "tcf", "eigrp", "ospfigp"], // 80
  ...["sprite-rpc", "larp", "mtp", "ax.25", "ipip", "micp", "scc-sp", "etherip", "encap", ""], // 90
  ...["gmtp", "ifmp", "pnni", "pim", "aris", "scps", "qnx", "a/n", "ipcomp", "snp"], // 100
  ...["compaq-peer", "ipx-in-ip", "vrrp", "pgm", "", "l2tp", "ddx", "iatp", "stp", "srp"], // 110
  ...["uti", "smp", "sm", "ptp", "isis-over-ipv4", "fire", "crtp", "crudp", "sscopmce", "iplt"], // 120
  ...["sps", "pipe", "sctp", "fc", "rsvp-e2e-ignore", "mobility-header", "udplite", "mpls-in-ip"], // 130
  ...["manet", "hip", "shim6", "wesp", "rohc", "ethernet", "aggfrag", "nsh", "homa", "bit-emu"], // 138
];

/** Name of IP protocol `number` (0 to 255): the lower-case IANA keyword, or `proto_<number>` where there is none. */
export function protocolName(number: number): string {
  return PROTOCOL_NAMES[number] || `proto_${number}`;
}

/** Every name that {@link protocolName} can give. */
export function protocolNames(): string[] {
  return Array.from({ length: 256 }, (_, number) => protocolName(number));
}

/**
 * Names of Differentiated Services codepoints by their number, lower case.
 *
 * Source: IANA "Differentiated Services Field Codepoints" (RFC 2474, 2597, 3246, 5865, 8622). 0 is `cs0`, which others
 * call default forwarding or best effort.
 */
const DSCP_NAMES: Readonly<Record<number, string>> = {
  ...{ 0: "cs0", 8: "cs1", 16: "cs2", 24: "cs3", 32: "cs4", 40: "cs5", 48: "cs6", 56: "cs7" },
  ...{ 10: "af11", 12: "af12", 14: "af13", 18: "af21", 20: "af22", 22: "af23" },
  ...{ 26: "af31", 28: "af32", 30: "af33", 34: "af41", 36: "af42", 38: "af43" },
  ...{ 1: "le", 44: "voice-admit", 45: "nqb", 46: "ef" },
};

/** Name of DSCP `id` (0 to 63), or `""` when IANA has assigned none. */
export function dscpName(id: number): string {
  return DSCP_NAMES[id] ?? "";
}

/** Every name that {@link dscpName} can give. */
export function dscpNames(): string[] {
  return Object.values(DSCP_NAMES);
}

/** Names of the ECN field's codepoints, the position is the number; RFC 3168 writes Not-ECT, ECT(1), ECT(0), CE. */
export const ECN_NAMES: readonly string[] = ["not-ect", "ect1", "ect0", "ce"];

/** Name of ECN codepoint `id` (0 to 3), or `""` when it is not known. */
export function ecnName(id: number): string {
  return ECN_NAMES[id] ?? "";
}

/** IPFIX flowEndReason codes (RFC 5102, section 5.11.3); the position in this list is code − 1. */
const END_REASONS: readonly EndReason[] = [
  "idle_timeout",
  "active_timeout",
  "end_of_flow_detected",
  "forced_end",
  "lack_of_resources",
];

/** Name of IPFIX flowEndReason `code` (1 to 5), `unknown` for any other. */
export function endReasonName(code: number): EndReason {
  return END_REASONS[code - 1] ?? "unknown";
}

/** IPFIX flowEndReason code of `reason` (RFC 5102, section 5.11.3). */
export function endReasonCode(reason: EndReason): number {
  return END_REASONS.indexOf(reason) + 1;
}
