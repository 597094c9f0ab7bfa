/** Executables to try: the real one, and small ones with a shell script in Deno's place. */

import { pack } from "../../tools/compile.ts";
import { run, tryRun } from "../harness/process.ts";

/** The tests may only run programs whose path is known beforehand; this one may run any. */
export const ANYTHING = ["setpriv", "--pdeathsig", "KILL", "--"];

/** Path of `dist/mermin`. @throws {Error} when it is not of this build. */
export async function executablePath(): Promise<string> {
  const path = new URL("../../dist/mermin", import.meta.url).pathname;
  const { code } = await tryRun(["test", path, "-nt", new URL("../../bin/.built", import.meta.url).pathname]);
  if (code !== 0) throw new Error("dist/mermin is missing or older than bin/; run tools/compile");
  return path;
}

/** Writes an executable whose "Deno" is the shell script `script`. */
export async function scripted(path: string, script: string): Promise<void> {
  const launcher = await Deno.readFile(new URL("../../bin/mermin", import.meta.url));
  const content = (text: string) => new TextEncoder().encode(text);
  const files = [
    { name: "deno", content: content(`#!/bin/sh\n${script}\n`) },
    { name: "libmermin_loader.so", content: content("library") },
    { name: "mermin.js", content: content("program") },
  ];
  await Deno.writeFile(path, pack(launcher, files), { mode: 0o755 });
}

/** What `find` says of every file below `directory`, sorted: type, mode, user and path. */
export async function listing(directory: string): Promise<string[]> {
  const found = await run(["find", directory, "-mindepth", "1", "-printf", "%y %m %U %P\n"]);
  return found.split("\n").filter((line) => line !== "").sort();
}
