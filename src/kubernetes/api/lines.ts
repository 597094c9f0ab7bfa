/** The lines of a stream of bytes, without their ends; what a stream that breaks leaves behind is no line. */
export class Lines {
  // Deno 2.9 takes U+FEFF at the beginning of any piece for a byte order mark.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** Of a line that goes on; one of many chunks is joined once. */
  #parts: string[] = [];

  /** The lines that end in `chunk`; empty ones are left out. */
  push(chunk: Uint8Array): string[] {
    const text = this.#decoder.decode(chunk, { stream: true });
    const lines: string[] = [];
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      let line = text.slice(start, end);
      if (this.#parts.length > 0) {
        line = this.#parts.join("") + line;
        this.#parts = [];
      }
      start = end + 1;
      if (line !== "") lines.push(line);
    }
    if (start < text.length) this.#parts.push(text.slice(start));
    return lines;
  }
}
