/** What ICMP and ICMPv6 message types say about a conversation. */

/** IANA protocol numbers that the flow rules know by name. */
export const Protocol = {
  ICMP: 1,
  TCP: 6,
  UDP: 17,
  DCCP: 33,
  ESP: 50,
  AH: 51,
  ICMPV6: 58,
  SCTP: 132,
  UDPLITE: 136,
} as const;

/** The message has no counterpart: it is told, not asked (errors, redirects). */
export const ONE_WAY = -1;

/** Whether a message type asks, answers, or neither. */
export const IcmpRole = { NONE: 0, REQUEST: 1, REPLY: 2 } as const;
export type IcmpRole = typeof IcmpRole[keyof typeof IcmpRole];

/**
 * The type that answers (or is answered by) message `type`, or {@link ONE_WAY}.
 *
 * Source: the Community ID v1 specification, which took the pairs from Zeek; types of RFC 792, 950, 1256 and for
 * ICMPv6 of RFC 2710, 4443, 4620, 4861, 6275.
 */
export function icmpCounterpart(protocol: number, type: number): number {
  return protocol === Protocol.ICMP ? icmpv4Counterpart(type) : icmpv6Counterpart(type);
}

/** The role of message `type` of `protocol` (ICMP or ICMPv6); anything else has none. */
export function icmpRole(protocol: number, type: number): IcmpRole {
  if (protocol !== Protocol.ICMP && protocol !== Protocol.ICMPV6) return IcmpRole.NONE;
  const counterpart = icmpCounterpart(protocol, type);
  if (counterpart === ONE_WAY) return IcmpRole.NONE;
  // Echo and router discovery of ICMPv4 are the only pairs where the request has the greater number.
  const requestIsGreater = protocol === Protocol.ICMP && (type === 8 || type === 0 || type === 10 || type === 9);
  return (type > counterpart) === requestIsGreater ? IcmpRole.REQUEST : IcmpRole.REPLY;
}

function icmpv4Counterpart(type: number): number {
  switch (type) {
    case 0: // echo reply
      return 8;
    case 8: // echo
      return 0;
    case 9: // router advertisement
    case 13: // timestamp
    case 15: // information request
    case 17: // address mask request
      return type + 1;
    case 10: // router solicitation
    case 14: // timestamp reply
    case 16: // information reply
    case 18: // address mask reply
      return type - 1;
    default:
      return ONE_WAY;
  }
}

function icmpv6Counterpart(type: number): number {
  switch (type) {
    case 128: // echo request
    case 130: // multicast listener query
    case 133: // router solicitation
    case 135: // neighbour solicitation
    case 139: // node information query
    case 144: // home agent address discovery request
      return type + 1;
    case 129: // echo reply
    case 131: // multicast listener report
    case 134: // router advertisement
    case 136: // neighbour advertisement
    case 140: // node information response
    case 145: // home agent address discovery reply
      return type - 1;
    default:
      return ONE_WAY;
  }
}
