import assert from "node:assert/strict";
import { environmentNames } from "../src/settings.ts";

Deno.test("bin/mermin lets its first stage read the variables that the program reads", () => {
  const script = Deno.readTextFileSync(new URL("mermin", import.meta.url));
  const named = [...script.matchAll(/^variables=(.*)$/gm)].flatMap(([, list]) => list.split(","));
  assert.deepEqual(named.filter((name) => name !== "$variables").sort(), environmentNames().sort());
});
