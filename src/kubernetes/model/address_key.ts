/** Addresses as keys of maps: numbers take no memory of their own and are compared at once. */

/** An IPv4 address as a signed 32-bit number, any other as text (RFC 5952). */
export type AddressKey = number | string;

const ZERO = 0x30, DOT = 0x2e;

export function addressKey(text: string): AddressKey {
  let value = 0;
  let dots = 0;
  let part = -1;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const digit = code - ZERO;
    if (digit >= 0 && digit <= 9) {
      // Only one text is meant by a number: one without leading zeros.
      if (part === 0) return text;
      part = part < 0 ? digit : part * 10 + digit;
      if (part > 255) return text;
    } else {
      if (code !== DOT || part < 0 || dots === 3) return text;
      value = value << 8 | part;
      part = -1;
      dots++;
    }
  }
  return dots === 3 && part >= 0 ? value << 8 | part : text;
}

/** Most objects have one address, which takes no list. */
export type Places = AddressKey | readonly AddressKey[] | undefined;

export function placesOf(keys: ReadonlySet<AddressKey>): Places {
  if (keys.size > 1) return Array.from(keys);
  for (const key of keys) return key;
  return undefined;
}

export function keysOf(places: Places): readonly AddressKey[] {
  if (places === undefined) return [];
  return typeof places === "object" ? places : [places];
}
