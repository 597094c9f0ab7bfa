/** The five-tuple of a connection in one canonical form, whichever end is named first. */

import { icmpCounterpart, ONE_WAY, Protocol } from "./icmp.ts";

/** Longest canonical form in bytes: two IPv6 addresses, protocol, padding, two ports. */
const MAX_BYTES = 38;
const IPV4_BYTES = 4;
const PORTS_BYTES = 4;

/**
 * One reused five-tuple in the byte order that Community ID v1 hashes.
 *
 * Layout: smaller address, greater address (4 or 16 bytes each, network order), protocol, a zero byte, port of the
 * smaller end, port of the greater end (16 bits each, network order). The smaller end is the one with the smaller
 * address, or with the smaller port when the addresses are equal.
 */
export class Tuple {
  readonly #bytes = new Uint8Array(MAX_BYTES);
  // Views made once: a subarray per flow would cost as much as the rest of load().
  readonly #ipv4 = this.#bytes.subarray(0, 2 * IPV4_BYTES + 2 + PORTS_BYTES);
  readonly #ipv4Portless = this.#bytes.subarray(0, 2 * IPV4_BYTES + 2);
  readonly #ipv6Portless = this.#bytes.subarray(0, MAX_BYTES - PORTS_BYTES);

  /** Canonical form with ports (zeros for a protocol that has none). A view: the next `load()` changes it. */
  bytes: Uint8Array = this.#bytes;
  /** What Community ID v1 hashes after the seed: the same, with ports only for the five protocols it lists. */
  communityBytes: Uint8Array = this.#bytes;

  /**
   * Takes the tuple from `buffer`: two addresses of `addressBytes` (4 or 16) each, in network order.
   *
   * Ports are numbers. For ICMP and ICMPv6 give as ports either the message's type and code, the first end being the
   * sender, or the pair of types that a two-way exchange has as canonical form: both lead to the same tuple. A
   * one-way message keeps its sender as the first end, so a flow key must not order the ends of such messages.
   */
  load(
    buffer: Uint8Array,
    firstOffset: number,
    secondOffset: number,
    addressBytes: number,
    protocol: number,
    firstPort: number,
    secondPort: number,
  ): void {
    let second = secondPort;
    let isOneWay = false;
    if (protocol === Protocol.ICMP || protocol === Protocol.ICMPV6) {
      const counterpart = icmpCounterpart(protocol, firstPort);
      isOneWay = counterpart === ONE_WAY;
      if (!isOneWay) second = counterpart;
    }
    const ordered = isOneWay || isOrdered(buffer, firstOffset, secondOffset, addressBytes, firstPort, second);
    const bytes = this.#bytes;
    copy(bytes, 0, buffer, ordered ? firstOffset : secondOffset, addressBytes);
    copy(bytes, addressBytes, buffer, ordered ? secondOffset : firstOffset, addressBytes);
    let at = 2 * addressBytes;
    bytes[at++] = protocol;
    bytes[at++] = 0;
    const smaller = ordered ? firstPort : second;
    const greater = ordered ? second : firstPort;
    bytes[at++] = smaller >>> 8;
    bytes[at++] = smaller;
    bytes[at++] = greater >>> 8;
    bytes[at++] = greater;

    const isIpv4 = addressBytes === IPV4_BYTES;
    this.bytes = isIpv4 ? this.#ipv4 : bytes;
    if (hasCommunityPorts(protocol)) this.communityBytes = this.bytes;
    else this.communityBytes = isIpv4 ? this.#ipv4Portless : this.#ipv6Portless;
  }
}

function isOrdered(
  buffer: Uint8Array,
  firstOffset: number,
  secondOffset: number,
  addressBytes: number,
  firstPort: number,
  secondPort: number,
): boolean {
  for (let i = 0; i < addressBytes; i++) {
    const difference = buffer[firstOffset + i] - buffer[secondOffset + i];
    if (difference !== 0) return difference < 0;
  }
  return firstPort <= secondPort;
}

// A loop, because TypedArray.set() needs a subarray and is slower at this size.
function copy(to: Uint8Array, toOffset: number, from: Uint8Array, fromOffset: number, length: number): void {
  for (let i = 0; i < length; i++) to[toOffset + i] = from[fromOffset + i];
}

function hasCommunityPorts(protocol: number): boolean {
  return protocol === Protocol.TCP || protocol === Protocol.UDP || protocol === Protocol.SCTP ||
    protocol === Protocol.ICMP || protocol === Protocol.ICMPV6;
}
