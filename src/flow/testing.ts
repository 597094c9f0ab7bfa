/** Builders for tests of flow code. */

import { isIPv4 } from "node:net";
import { Tuple } from "./tuple.ts";

/** Bytes of an IP address given as text. */
export function addressBytes(text: string): Uint8Array {
  if (isIPv4(text)) return Uint8Array.from(text.split("."), Number);
  const [head, tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::")
    .map((half) => half === "" ? [] : half.split(":"));
  const zeros = tail === undefined ? [] : Array(8 - head.length - tail.length).fill("0");
  const groups = [...head, ...zeros, ...(tail ?? [])].map((group) => parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

/** A tuple as a packet from `first` to `second` shows it; for ICMP the ports are type and code. */
export function tupleOf(first: string, second: string, protocol: number, firstPort = 0, secondPort = 0): Tuple {
  const [a, b] = [addressBytes(first), addressBytes(second)];
  // Offsets that are not 0, as in the poll buffer.
  const buffer = Uint8Array.from([...Array(3), ...a, 7, 7, ...b]);
  const tuple = new Tuple();
  tuple.load(buffer, 3, 3 + a.length + 2, a.length, protocol, firstPort, secondPort);
  return tuple;
}
