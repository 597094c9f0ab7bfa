/** Takes bytes, perhaps not all at once, as `Deno.stdout` does. */
export interface Writer {
  write(bytes: Uint8Array): Promise<number>;
}

/** Writes all of `bytes`. Returns the error instead of throwing it: a failed write is an expected end. */
export async function writeAll(writer: Writer, bytes: Uint8Array): Promise<unknown> {
  try {
    for (let at = 0; at < bytes.length;) at += await writer.write(bytes.subarray(at));
  } catch (error) {
    return error;
  }
}

/** Takes whole texts, one after the other: two exporters, of which one replaces the other, do not mix their lines. */
export function oneAtATime(writer: Writer): Writer {
  let last: Promise<unknown> = Promise.resolve();
  return {
    async write(bytes) {
      const written = last.then(() => writeAll(writer, bytes));
      last = written;
      const error = await written;
      if (error !== undefined) throw error;
      return bytes.length;
    },
  };
}
