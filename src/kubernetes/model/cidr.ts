/** Addresses as bits, to look for the networks that hold one. */

/** The bytes of an IP address, 4 or 16; `undefined` for other text. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (!text.includes(":")) {
    const parts = text.split(".").map(Number);
    const isAddress = parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256);
    return isAddress ? Uint8Array.from(parts) : undefined;
  }
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const hex = (high: string, low: string) => (Number(high) * 256 + Number(low)).toString(16);
  const plain = dotted ? `${dotted[1]}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}` : text;
  const [head, tail] = plain.split("::").map((half) => half === "" ? [] : half.split(":"));
  const zeros = tail === undefined ? 0 : 8 - head.length - tail.length;
  const words = [...head, ...Array<string>(Math.max(zeros, 0)).fill("0"), ...(tail ?? [])];
  if (words.length !== 8 || !words.every((word) => /^[0-9a-f]{1,4}$/i.test(word))) return undefined;
  return Uint8Array.from(words.flatMap((word) => [parseInt(word, 16) >> 8, parseInt(word, 16) & 255]));
}

/** A network such as `10.0.0.0/8`. */
export class Cidr {
  private constructor(readonly bytes: Uint8Array, readonly bits: number) {}

  static parse(text: string): Cidr | undefined {
    const [address, bits] = text.split("/");
    const bytes = addressBytes(address);
    const length = Number(bits);
    if (!bytes || bits === undefined || !Number.isInteger(length) || length < 0 || length > bytes.length * 8) {
      return undefined;
    }
    return new Cidr(bytes, length);
  }

  contains(address: Uint8Array): boolean {
    if (address.length !== this.bytes.length) return false;
    const whole = this.bits >> 3;
    for (let i = 0; i < whole; i++) if (address[i] !== this.bytes[i]) return false;
    const rest = this.bits & 7;
    return rest === 0 || ((address[whole] ^ this.bytes[whole]) >> (8 - rest)) === 0;
  }
}
