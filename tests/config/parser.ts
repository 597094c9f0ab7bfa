/** The real front end for tests, from the library that `MERMIN_LIBRARY` names (`bin/libmermin_loader.so` unless set). */

import { configParser } from "../../src/config/mod.ts";

/** Opens the library; `using` closes it. */
export function openParser() {
  const path = Deno.env.get("MERMIN_LIBRARY") ?? new URL("../../bin/libmermin_loader.so", import.meta.url).pathname;
  const library = Deno.dlopen(path, {
    mermin_parse_config: { parameters: ["buffer", "u32", "u32"], result: "i32" },
    mermin_take: { parameters: ["buffer", "u32"], result: "u32" },
  });
  const parse = configParser((source, format) => {
    const bytes = new TextEncoder().encode(source);
    const ok = library.symbols.mermin_parse_config(bytes, bytes.length, format) === 0;
    const buffer = new Uint8Array(library.symbols.mermin_take(new Uint8Array(0), 0));
    library.symbols.mermin_take(buffer, buffer.length);
    return { ok, json: new TextDecoder().decode(buffer) };
  });
  return { parse, [Symbol.dispose]: () => library.close() };
}
