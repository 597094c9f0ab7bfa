import { deepEqual, equal } from "node:assert/strict";
import { settled } from "../testing.ts";
import { oneAtATime, writeAll } from "./writer.ts";

const UTF8 = new TextEncoder();

Deno.test("oneAtATime() lets a text through in one piece, whoever else writes", async () => {
  let text = "";
  const writer = oneAtATime({
    async write(bytes) {
      await settled();
      text += new TextDecoder().decode(bytes.subarray(0, 2));
      return Math.min(2, bytes.length);
    },
  });
  const errors = await Promise.all(["aaaaa\n", "bbbbb\n", "ccc\n"].map((part) => writeAll(writer, UTF8.encode(part))));
  deepEqual([text, errors], ["aaaaa\nbbbbb\nccc\n", [undefined, undefined, undefined]]);
});

Deno.test("oneAtATime() tells each writer its own error", async () => {
  let calls = 0;
  const writer = oneAtATime({
    write: (bytes) => calls++ === 0 ? Promise.reject(new Error("full")) : Promise.resolve(bytes.length),
  });
  const [first, second] = await Promise.all(["a", "b"].map((part) => writeAll(writer, UTF8.encode(part))));
  equal((first as Error).message, "full");
  equal(second, undefined);
});
