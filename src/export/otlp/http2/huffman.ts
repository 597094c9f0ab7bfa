/** The Huffman code of header fields (RFC 7541, appendix B), for reading. */

/** The length of each byte's code in bits, as a digit to the base of 36; the last is the end of a string. */
const LENGTHS = [
  "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6f565",
  "65666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmnqqkjmnmp",
  "qqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu",
].join("");
const END_OF_STRING = 256;
const MAX_BITS = 30;

/** The code is canonical: codes of one length follow each other in the order of their bytes. */
const symbolsByLength: number[][] = Array.from({ length: MAX_BITS + 1 }, () => []);
for (let symbol = 0; symbol <= END_OF_STRING; symbol++) symbolsByLength[parseInt(LENGTHS[symbol], 36)].push(symbol);

/** @throws {Error} when `bytes` hold no such text. */
export function decodeHuffman(bytes: Uint8Array): string {
  const text: number[] = [];
  let code = 0, first = 0, length = 0;
  let isOnes = true;
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const value = bytes[bit >> 3] >> (7 - (bit & 7)) & 1;
    code = code << 1 | value;
    first <<= 1;
    length++;
    isOnes &&= value === 1;
    const symbols = symbolsByLength[length];
    if (symbols === undefined) throw new Error("a header has a code that does not exist");
    const symbol = symbols[code - first];
    first += symbols.length;
    if (symbol === undefined) continue;
    if (symbol === END_OF_STRING) throw new Error("a header has an end within its text");
    text.push(symbol);
    code = first = length = 0;
    isOnes = true;
  }
  if (length > 7 || !isOnes) throw new Error("a header ends within a code");
  return String.fromCharCode(...text);
}
