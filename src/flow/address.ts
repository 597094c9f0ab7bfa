/** Addresses as text, straight from packet bytes. */

const HEX = "0123456789abcdef";
const GROUPS = 8;

/** Text of the address of `length` bytes (4 or 16) at `offset` of `bytes`. */
export function addressText(bytes: Uint8Array, offset: number, length: number): string {
  return length === 4 ? ipv4Text(bytes, offset) : ipv6Text(bytes, offset);
}

/** Dotted decimal text of the four bytes at `offset`. */
export function ipv4Text(bytes: Uint8Array, offset: number): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}

/** Canonical text of the 16 bytes at `offset` (RFC 5952; IPv4-mapped addresses with a dotted tail, its section 5). */
export function ipv6Text(bytes: Uint8Array, offset: number): string {
  if (isIpv4Mapped(bytes, offset)) return `::ffff:${ipv4Text(bytes, offset + 12)}`;

  // The longest run of at least two zero groups becomes "::"; of equal ones the first (section 4.2.3).
  let zerosFrom = GROUPS;
  let zerosLength = 1;
  for (let from = 0; from < GROUPS; from++) {
    let to = from;
    while (to < GROUPS && group(bytes, offset, to) === 0) to++;
    if (to - from > zerosLength) {
      zerosFrom = from;
      zerosLength = to - from;
    }
    if (to > from) from = to;
  }

  let text = "";
  for (let i = 0; i < GROUPS; i++) {
    if (i === zerosFrom) {
      text += "::";
      i += zerosLength - 1;
      continue;
    }
    if (i > 0 && i !== zerosFrom + zerosLength) text += ":";
    text += groupText(group(bytes, offset, i));
  }
  return text;
}

function isIpv4Mapped(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[offset + i] !== 0) return false;
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
}

function group(bytes: Uint8Array, offset: number, index: number): number {
  return bytes[offset + 2 * index] << 8 | bytes[offset + 2 * index + 1];
}

function groupText(value: number): string {
  if (value < 0x10) return HEX[value];
  if (value < 0x100) return HEX[value >> 4] + HEX[value & 15];
  if (value < 0x1000) return HEX[value >> 8] + HEX[value >> 4 & 15] + HEX[value & 15];
  return HEX[value >> 12] + HEX[value >> 8 & 15] + HEX[value >> 4 & 15] + HEX[value & 15];
}
