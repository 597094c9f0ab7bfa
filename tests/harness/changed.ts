/** An agent of another version: the same source with other layouts of the structs that the kernel holds. */

import { run } from "./process.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Builds it when something changed, which takes minutes then, and returns its path. */
export async function changedAgent(): Promise<string> {
  // The tests may run only programs whose names are known beforehand; this one may run any.
  await run(["setpriv", "--pdeathsig", "KILL", "--", `${ROOT}tools/build-changed`]);
  return `${ROOT}.cache/changed/bin/mermin`;
}
