import assert from "node:assert/strict";
import { Protocol } from "./icmp.ts";
import { icmpCodeName, icmpCodeNames, icmpTypeName, icmpTypeNames } from "./icmp_names.ts";

const { ICMP, ICMPV6 } = Protocol;

Deno.test("icmpTypeName() and icmpCodeName() are the IANA names in snake_case", () => {
  const cases: [protocol: number, type: number, code: number, typeName: string, codeName: string][] = [
    [ICMP, 0, 0, "echo_reply", ""],
    [ICMP, 8, 0, "echo", ""],
    [ICMP, 3, 1, "destination_unreachable", "host_unreachable"],
    [ICMP, 3, 3, "destination_unreachable", "port_unreachable"],
    [ICMP, 3, 13, "destination_unreachable", "communication_administratively_prohibited"],
    [ICMP, 5, 1, "redirect", "redirect_datagram_for_the_host"],
    [ICMP, 9, 16, "router_advertisement", "does_not_route_common_traffic"],
    [ICMP, 11, 0, "time_exceeded", "time_to_live_exceeded_in_transit"],
    [ICMP, 43, 4, "extended_echo_reply", "multiple_interfaces_satisfy_query"],
    [ICMPV6, 128, 0, "echo_request", ""],
    [ICMPV6, 129, 0, "echo_reply", ""],
    [ICMPV6, 1, 4, "destination_unreachable", "port_unreachable"],
    [ICMPV6, 3, 0, "time_exceeded", "hop_limit_exceeded_in_transit"],
    [ICMPV6, 4, 10, "parameter_problem", "option_too_big"],
    [ICMPV6, 135, 0, "neighbor_solicitation", ""],
    [ICMPV6, 138, 255, "router_renumbering", "sequence_number_reset"],
    [ICMPV6, 143, 0, "version_2_multicast_listener_report", ""],
  ];
  for (const [protocol, type, code, typeName, codeName] of cases) {
    assert.equal(icmpTypeName(protocol, type), typeName);
    assert.equal(icmpCodeName(protocol, type, code), codeName);
  }
});

Deno.test("icmpTypeName() and icmpCodeName() are empty where IANA has assigned nothing", () => {
  const cases: [protocol: number, type: number, code: number][] = [
    [ICMP, 1, 0],
    [ICMP, 3, 16],
    [ICMP, 19, 0],
    [ICMP, 128, 0],
    [ICMP, 255, 255],
    [ICMPV6, 0, 0],
    [ICMPV6, 8, 0],
    [ICMPV6, 127, 0],
    [ICMPV6, 255, 0],
  ];
  for (const [protocol, type, code] of cases) {
    assert.equal(icmpCodeName(protocol, type, code), "");
    if (type !== 3) assert.equal(icmpTypeName(protocol, type), "");
  }
});

Deno.test("icmpTypeName() and icmpCodeName() answer for every byte, in snake_case, from their lists", () => {
  const types = new Set(icmpTypeNames());
  const codes = new Set(icmpCodeNames());
  const seen = new Set<string>();
  for (const protocol of [ICMP, ICMPV6]) {
    for (let type = 0; type < 256; type++) {
      for (let code = 0; code < 256; code++) {
        const names = [icmpTypeName(protocol, type), icmpCodeName(protocol, type, code)];
        names.forEach((name, i) => assert.ok(name === "" || [types, codes][i].has(name), name));
        for (const name of names) seen.add(name);
      }
    }
  }
  seen.delete("");
  for (const name of seen) assert.match(name, /^[a-z0-9]+(_[a-z0-9]+)*$/);
  assert.equal(seen.size, new Set([...types, ...codes]).size, "a name of the lists is never given");
});
