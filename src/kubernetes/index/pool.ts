import { isSame } from "../model/object.ts";

/** So many different parts are kept for others to share; pods of 10,000 workloads find theirs. */
const CAPACITY = 30_000;

/** Parts of objects that are equal: others share one copy. */
export class Pool {
  /** By a number that equal parts have in common; of two that have it by chance the later is kept. */
  readonly #parts = new Map<number, unknown>();

  /** One that equals `part`, which is JSON, perhaps that of another object. */
  one<T>(part: T): T {
    const key = hashOf(JSON.stringify(part));
    const known = this.#parts.get(key);
    if (known !== undefined && isSame(known, part)) return known as T;
    // What is thrown out is only not shared from then on.
    if (this.#parts.size >= CAPACITY) this.#parts.clear();
    this.#parts.set(key, part);
    return part;
  }
}

/** FNV-1a over UTF-16 units, as a signed 32-bit number. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
