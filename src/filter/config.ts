import { checkCidr, checkRange, group, labelled, later, list, text } from "../config/mod.ts";

const LATER = "filtering of flows";

function rule(doc: string, what: string, check?: (value: string) => string | undefined) {
  const item = text("", "One pattern.", { what, check });
  return group(doc, {
    match: list(item, [], "What is kept; an empty list keeps everything."),
    not_match: list(item, [], "What is dropped."),
  });
}

const names = (doc: string) => rule(doc, "a name or a glob");
const numbers = (doc: string, max: number) => rule(doc, "a number or range", checkRange(max));

function endpoint(doc: string) {
  return later(
    LATER,
    group(doc, {
      address: rule("Addresses and ranges of them.", "an IP address or range", checkCidr),
      port: numbers("Ports and ranges of them.", 65535),
    }),
  );
}

/** `filter "source"`, `"destination"`, `"network"` and `"flow"`: which flows become records; all of them must agree. */
export const filterSettings = labelled("Which flows become records.", {
  source: endpoint("By where a flow comes from."),
  destination: endpoint("By where a flow goes to."),
  network: later(
    LATER,
    group("By how a flow travels.", {
      transport: names("Transport protocols."),
      type: names("Network types, ipv4 or ipv6."),
      interface_name: names("Interfaces by name."),
      interface_index: numbers("Interfaces by index.", 2 ** 31 - 1),
      interface_mac: names("Interfaces by MAC address."),
    }),
  ),
  flow: later(
    LATER,
    group("By what a flow is.", {
      connection_state: names("TCP states."),
      tcp_flags_tags: names("TCP flags."),
      ip_dscp_name: names("DSCP names."),
      ip_ecn_name: names("ECN names."),
      ip_ttl: numbers("TTL or hop limit.", 255),
      ip_flow_label: numbers("IPv6 flow labels.", 2 ** 20 - 1),
      icmp_type_name: names("ICMP types."),
      icmp_code_name: names("ICMP codes."),
    }),
  ),
});
