/** The lines of a stream of bytes, without their ends; what a stream that breaks leaves behind is no line. */
export async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  // Deno 2.9 takes U+FEFF at the beginning of any piece for a byte order mark.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  // A line of many chunks is joined once.
  let parts: string[] = [];
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      parts.push(text.slice(start, end));
      const line = parts.join("");
      parts = [];
      start = end + 1;
      if (line !== "") yield line;
    }
    if (start < text.length) parts.push(text.slice(start));
  }
}
