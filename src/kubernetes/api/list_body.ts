/** The body of a list, taken apart as it comes: a page of thousands of objects is never in memory as a whole. */

const QUOTE = 0x22, BACKSLASH = 0x5c, COMMA = 0x2c;
const OPEN_LIST = 0x5b, CLOSE_LIST = 0x5d, OPEN_OBJECT = 0x7b, CLOSE_OBJECT = 0x7d;
/** Depth inside of the list of a list's `items`. */
const ITEMS_DEPTH = 2;

/**
 * Hands each object in `items` of a JSON object to `take`; returns the rest of it, with `items` empty.
 *
 * @throws {SyntaxError} when it is no JSON, also after objects were handed out
 */
export async function takeItems(
  chunks: AsyncIterable<Uint8Array>,
  take: (item: unknown) => void,
): Promise<Record<string, unknown>> {
  const splitter = new Splitter(take);
  for await (const chunk of chunks) splitter.push(chunk);
  return splitter.end();
}

class Splitter {
  readonly #take: (item: unknown) => void;
  readonly #rest = new Text();
  readonly #item = new Text();
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isInItems = false;

  constructor(take: (item: unknown) => void) {
    this.#take = take;
  }

  push(chunk: Uint8Array): void {
    // Where that begins which is not written to `#rest` or `#item` yet.
    let from = 0;
    for (let i = this.#isInString ? this.#endOfString(chunk, 0) : 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte === QUOTE) i = this.#endOfString(chunk, i + 1) - 1;
      else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
        this.#depth++;
        if (byte === OPEN_OBJECT || this.#depth !== ITEMS_DEPTH) continue;
        this.#rest.add(chunk.subarray(from, i + 1));
        from = i + 1;
        this.#isInItems = /"items"\s*:\s*\[$/.test(this.#rest.tail);
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        this.#depth--;
        if (!this.#isInItems || this.#depth > ITEMS_DEPTH) continue;
        this.#isInItems = this.#depth === ITEMS_DEPTH;
        if (this.#isInItems) {
          this.#item.add(chunk.subarray(from, i + 1));
          this.#take(JSON.parse(this.#item.clear()));
        }
        from = this.#isInItems ? i + 1 : i;
      } else if (byte === COMMA && this.#isInItems && this.#depth === ITEMS_DEPTH) from = i + 1;
    }
    (this.#isInItems ? this.#item : this.#rest).add(chunk.subarray(from));
  }

  /** Where the text goes on behind a string; the string may end in the next chunk. */
  #endOfString(chunk: Uint8Array, start: number): number {
    let isEscaped = this.#isEscaped;
    for (let i = start; i < chunk.length; i++) {
      if (isEscaped) isEscaped = false;
      else if (chunk[i] === BACKSLASH) isEscaped = true;
      else if (chunk[i] === QUOTE) {
        this.#isInString = this.#isEscaped = false;
        return i + 1;
      }
    }
    this.#isInString = true;
    this.#isEscaped = isEscaped;
    return chunk.length;
  }

  end(): Record<string, unknown> {
    return JSON.parse(this.#rest.clear());
  }
}

/** Bytes that become a text. */
class Text {
  // Deno 2.9 takes U+FEFF at the beginning of any piece for a byte order mark.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #text = "";

  add(bytes: Uint8Array): void {
    this.#text += this.#decoder.decode(bytes, { stream: true });
  }

  /** Its last characters. */
  get tail(): string {
    return this.#text.slice(-20);
  }

  clear(): string {
    const text = this.#text + this.#decoder.decode();
    this.#text = "";
    return text;
  }
}
