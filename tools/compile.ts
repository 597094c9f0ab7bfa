/**
 * Puts the files of `bin/` behind the launcher, as launcher-rs/src/payload.rs describes, and writes `dist/mermin`.
 */

import { createHash } from "node:crypto";
import { constants, zstdCompressSync } from "node:zlib";

const MAGIC = "MERMIN01";
/** Higher levels take minutes for a few percent; see docs/decisions.md. */
const LEVEL = 12;
const FILES = ["deno", "libmermin_loader.so", "mermin.js"];

/** An executable of `launcher` that holds `files` by name. */
export function pack(launcher: Uint8Array, files: readonly { name: string; content: Uint8Array }[]): Uint8Array {
  const all = concatenated(files.map(({ content }) => content));
  const frame = zstdCompressSync(all, { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } });
  const lines = files.map(({ name, content }) =>
    `${createHash("sha256").update(content).digest("hex")} ${content.length} ${name}\n`
  );
  const list = new TextEncoder().encode(lines.join(""));
  const end = new DataView(new ArrayBuffer(16));
  end.setBigUint64(0, BigInt(frame.length), true);
  end.setBigUint64(8, BigInt(list.length), true);
  return concatenated([launcher, frame, list, new Uint8Array(end.buffer), new TextEncoder().encode(MAGIC)]);
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

if (import.meta.main) {
  const files = FILES.map((name) => ({ name, content: Deno.readFileSync(`bin/${name}`) }));
  const executable = pack(Deno.readFileSync("bin/mermin"), files);
  // A new file, so that an agent that runs keeps the old one.
  Deno.writeFileSync("dist/mermin.part", executable, { mode: 0o755 });
  Deno.renameSync("dist/mermin.part", "dist/mermin");
}
