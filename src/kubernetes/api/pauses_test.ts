import { strictEqual } from "node:assert/strict";
import { Pauses } from "./pauses.ts";

Deno.test("Pauses.pause() ends by itself, by its signal or with all others, and leaves nothing", async () => {
  const pauses = new Pauses();
  const abort = new AbortController();
  await pauses.pause(1, abort.signal);
  strictEqual(pauses.size, 0);
  const long = [pauses.pause(1e6, abort.signal), pauses.pause(1e6, abort.signal)];
  strictEqual(pauses.size, 2);
  pauses.end();
  await Promise.all(long);
  strictEqual(pauses.size, 0);
  const last = pauses.pause(1e6, abort.signal);
  abort.abort();
  await last;
  strictEqual(pauses.size, 0);
});
