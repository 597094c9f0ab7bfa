import assert from "node:assert/strict";
import { openLoader } from "./ffi_loader.ts";

Deno.test("openLoader() says which library cannot be loaded", () => {
  assert.throws(() => openLoader("/nowhere/lib.so"), {
    name: "LoaderError",
    code: "system",
    message: /^Cannot load \/nowhere\/lib\.so: /,
  });
});
