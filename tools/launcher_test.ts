import assert from "node:assert/strict";
import { environmentNames } from "../src/settings.ts";

Deno.test("the launcher lets its first stage read the variables that the program reads", () => {
  const source = Deno.readTextFileSync(new URL("../launcher-rs/src/stages.rs", import.meta.url));
  const [, list] = /^const VARIABLES: &str =\s*"([^"]*)"/m.exec(source)!;
  assert.deepEqual(list.replace(/\\\s+/g, "").split(",").sort(), environmentNames().sort());
});
