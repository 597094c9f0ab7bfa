/** Ranges of IP addresses, compared with addresses as they stand in a packet. */

const BYTE_BITS = 8;

/** The addresses that agree with `bytes` (4 or 16) in the first `bits`. */
export interface AddressRange {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/** An address, or a range in CIDR notation whose other bits do not matter; the settings have checked it. */
export function parseAddressRange(text: string): AddressRange {
  const [address, bits] = text.split("/");
  const bytes = address.includes(":") ? ipv6Bytes(address) : Uint8Array.from(address.split("."), Number);
  return { bytes, bits: bits === undefined ? BYTE_BITS * bytes.length : Number(bits) };
}

/** Whether the address of `length` bytes (4 or 16) at `offset` of `buffer` is in `range`. */
export function isInRange(range: AddressRange, buffer: Uint8Array, offset: number, length: number): boolean {
  const { bytes, bits } = range;
  if (bytes.length !== length) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (buffer[offset + i] !== bytes[i]) return false;
  const rest = bits & 7;
  return rest === 0 || (buffer[offset + whole] ^ bytes[whole]) >> (BYTE_BITS - rest) === 0;
}

function ipv6Bytes(address: string): Uint8Array {
  // The URL parser knows all ways to write one, and leaves only "::" to expand.
  const { hostname } = new URL(`http://[${address}]`);
  const [head, tail] = hostname.slice(1, -1).split("::").map((half) => half === "" ? [] : half.split(":"));
  const zeros = tail === undefined ? [] : Array<string>(8 - head.length - tail.length).fill("0");
  const groups = [...head, ...zeros, ...(tail ?? [])].map((group) => parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}
