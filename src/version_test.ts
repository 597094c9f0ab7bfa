import assert from "node:assert/strict";
import { VERSION } from "./version.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(path, import.meta.url));

Deno.test("VERSION is that of deno.json and of the Rust crates", () => {
  const crate = (path: string) => read(path).match(/^\[(?:workspace\.)?package\]\n(?:[^[]*\n)?version = "(.*)"$/m)?.[1];
  assert.deepEqual(
    [JSON.parse(read("../deno.json")).version, crate("../loader-rs/Cargo.toml"), crate("../bpf-rs/Cargo.toml")],
    [VERSION, VERSION, VERSION],
  );
});
