/**
 * Names of ICMP and ICMPv6 message types and codes.
 *
 * Source: the IANA registries "ICMP Parameters" and "ICMPv6 Parameters", in snake_case and without the remark
 * "(Deprecated)"; of a description of several sentences the first. What IANA has reserved, left unassigned or calls "no
 * code" has no name. The codes of ICMPv6 types 154, 155, 157 and 158 are numbers with structure, from registries of
 * their own, and have none either.
 */

import { Protocol } from "./icmp.ts";

interface Message {
  readonly name: string;
  /** By code. */
  readonly codes?: readonly string[] | Readonly<Record<number, string>>;
}

const MOBILITY = "icmp_messages_utilized_by_experimental_mobility_protocols_such_as_seamoby";
const EXTENDED_ECHO_REPLY_CODES = [
  "no_error",
  "malformed_query",
  "no_such_interface",
  "no_such_table_entry",
  "multiple_interfaces_satisfy_query",
];

const ICMP: Readonly<Record<number, Message>> = {
  0: { name: "echo_reply" },
  3: {
    name: "destination_unreachable",
    codes: [
      "net_unreachable",
      "host_unreachable",
      "protocol_unreachable",
      "port_unreachable",
      "fragmentation_needed_and_dont_fragment_was_set",
      "source_route_failed",
      "destination_network_unknown",
      "destination_host_unknown",
      "source_host_isolated",
      "communication_with_destination_network_is_administratively_prohibited",
      "communication_with_destination_host_is_administratively_prohibited",
      "destination_network_unreachable_for_type_of_service",
      "destination_host_unreachable_for_type_of_service",
      "communication_administratively_prohibited",
      "host_precedence_violation",
      "precedence_cutoff_in_effect",
    ],
  },
  4: { name: "source_quench" },
  5: {
    name: "redirect",
    codes: [
      "redirect_datagram_for_the_network_or_subnet",
      "redirect_datagram_for_the_host",
      "redirect_datagram_for_the_type_of_service_and_network",
      "redirect_datagram_for_the_type_of_service_and_host",
    ],
  },
  6: { name: "alternate_host_address", codes: ["alternate_address_for_host"] },
  8: { name: "echo" },
  9: {
    name: "router_advertisement",
    codes: { 0: "normal_router_advertisement", 16: "does_not_route_common_traffic" },
  },
  10: { name: "router_solicitation" },
  11: { name: "time_exceeded", codes: ["time_to_live_exceeded_in_transit", "fragment_reassembly_time_exceeded"] },
  12: {
    name: "parameter_problem",
    codes: ["pointer_indicates_the_error", "missing_a_required_option", "bad_length"],
  },
  13: { name: "timestamp" },
  14: { name: "timestamp_reply" },
  15: { name: "information_request" },
  16: { name: "information_reply" },
  17: { name: "address_mask_request" },
  18: { name: "address_mask_reply" },
  30: { name: "traceroute" },
  31: { name: "datagram_conversion_error" },
  32: { name: "mobile_host_redirect" },
  33: { name: "ipv6_where_are_you" },
  34: { name: "ipv6_i_am_here" },
  35: { name: "mobile_registration_request" },
  36: { name: "mobile_registration_reply" },
  37: { name: "domain_name_request" },
  38: { name: "domain_name_reply" },
  39: { name: "skip" },
  40: {
    name: "photuris",
    codes: [
      "bad_spi",
      "authentication_failed",
      "decompression_failed",
      "decryption_failed",
      "need_authentication",
      "need_authorization",
    ],
  },
  41: { name: MOBILITY },
  42: { name: "extended_echo_request", codes: ["no_error"] },
  43: { name: "extended_echo_reply", codes: EXTENDED_ECHO_REPLY_CODES },
  253: { name: "rfc3692_style_experiment_1" },
  254: { name: "rfc3692_style_experiment_2" },
};

const ICMPV6: Readonly<Record<number, Message>> = {
  1: {
    name: "destination_unreachable",
    codes: [
      "no_route_to_destination",
      "communication_with_destination_administratively_prohibited",
      "beyond_scope_of_source_address",
      "address_unreachable",
      "port_unreachable",
      "source_address_failed_ingress_egress_policy",
      "reject_route_to_destination",
      "error_in_source_routing_header",
      "headers_too_long",
    ],
  },
  2: { name: "packet_too_big" },
  3: { name: "time_exceeded", codes: ["hop_limit_exceeded_in_transit", "fragment_reassembly_time_exceeded"] },
  4: {
    name: "parameter_problem",
    codes: [
      "erroneous_header_field_encountered",
      "unrecognized_next_header_type_encountered",
      "unrecognized_ipv6_option_encountered",
      "ipv6_first_fragment_has_incomplete_ipv6_header_chain",
      "sr_upper_layer_header_error",
      "unrecognized_next_header_type_encountered_by_intermediate_node",
      "extension_header_too_big",
      "extension_header_chain_too_long",
      "too_many_extension_headers",
      "too_many_options_in_extension_header",
      "option_too_big",
    ],
  },
  100: { name: "private_experimentation" },
  101: { name: "private_experimentation" },
  128: { name: "echo_request" },
  129: { name: "echo_reply" },
  130: { name: "multicast_listener_query" },
  131: { name: "multicast_listener_report" },
  132: { name: "multicast_listener_done" },
  133: { name: "router_solicitation" },
  134: { name: "router_advertisement" },
  135: { name: "neighbor_solicitation" },
  136: { name: "neighbor_advertisement" },
  137: { name: "redirect_message" },
  138: {
    name: "router_renumbering",
    codes: { 0: "router_renumbering_command", 1: "router_renumbering_result", 255: "sequence_number_reset" },
  },
  139: {
    name: "icmp_node_information_query",
    codes: [
      "the_data_field_contains_an_ipv6_address_which_is_the_subject_of_this_query",
      "the_data_field_contains_a_name_which_is_the_subject_of_this_query_or_is_empty_as_in_the_case_of_a_noop",
      "the_data_field_contains_an_ipv4_address_which_is_the_subject_of_this_query",
    ],
  },
  140: {
    name: "icmp_node_information_response",
    codes: [
      "a_successful_reply",
      "the_responder_refuses_to_supply_the_answer",
      "the_qtype_of_the_query_is_unknown_to_the_responder",
    ],
  },
  141: { name: "inverse_neighbor_discovery_solicitation_message" },
  142: { name: "inverse_neighbor_discovery_advertisement_message" },
  143: { name: "version_2_multicast_listener_report" },
  144: { name: "home_agent_address_discovery_request_message" },
  145: { name: "home_agent_address_discovery_reply_message" },
  146: { name: "mobile_prefix_solicitation" },
  147: { name: "mobile_prefix_advertisement" },
  148: { name: "certification_path_solicitation_message" },
  149: { name: "certification_path_advertisement_message" },
  150: { name: MOBILITY },
  151: { name: "multicast_router_advertisement" },
  152: { name: "multicast_router_solicitation" },
  153: { name: "multicast_router_termination" },
  154: { name: "fmipv6_messages" },
  155: { name: "rpl_control_message" },
  156: { name: "ilnpv6_locator_update_message" },
  157: { name: "duplicate_address_request" },
  158: { name: "duplicate_address_confirmation" },
  159: { name: "mpl_control_message" },
  160: { name: "extended_echo_request", codes: ["no_error"] },
  161: { name: "extended_echo_reply", codes: EXTENDED_ECHO_REPLY_CODES },
  200: { name: "private_experimentation" },
  201: { name: "private_experimentation" },
};

/** Name of message `type` of `protocol` (ICMP or ICMPv6), or `""`. */
export function icmpTypeName(protocol: number, type: number): string {
  return messages(protocol)[type]?.name ?? "";
}

/** Name of `code` in a message of `type`, or `""`. */
export function icmpCodeName(protocol: number, type: number, code: number): string {
  return messages(protocol)[type]?.codes?.[code] ?? "";
}

/** All names that {@link icmpTypeName} gives. */
export function icmpTypeNames(): string[] {
  return allMessages().map(({ name }) => name);
}

/** All names that {@link icmpCodeName} gives. */
export function icmpCodeNames(): string[] {
  return allMessages().flatMap(({ codes = [] }) => Object.values<string>(codes));
}

function messages(protocol: number): Readonly<Record<number, Message>> {
  return protocol === Protocol.ICMP ? ICMP : ICMPV6;
}

function allMessages(): Message[] {
  return [...Object.values(ICMP), ...Object.values(ICMPV6)];
}
