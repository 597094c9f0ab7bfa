/** Folders for the files of a test. */

/** A folder that goes away with everything in it; `name` tells whose it was, when a test is killed. */
export async function temporary(name: string): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: `mermin-${name}-` });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
