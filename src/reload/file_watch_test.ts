import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { type FileState, fileState, FileWatch } from "./file_watch.ts";

Deno.test("FileWatch tells of a change once it has settled", () => {
  const states: FileState[] = ["a", "a", "b", "c", "c", "c", undefined, "d", "d", "c", "c", "c"];
  const changes: number[] = [];
  let looks = 0;
  const watch = new FileWatch({ look: () => states[looks++], onChange: () => changes.push(looks) });
  watch.start();
  watch.start();
  strictEqual(looks, 1);
  while (looks < states.length) watch.check();
  watch.stop();
  // At the second "c", the second "d", and the second "c" again.
  deepStrictEqual(changes, [5, 9, 11]);
  strictEqual(watch.isRunning, false);
});

Deno.test("FileWatch tells of a file that is gone for good, and of one that comes", () => {
  const states: FileState[] = [undefined, "a", "a", undefined, undefined, undefined];
  const changes: number[] = [];
  let looks = 0;
  const watch = new FileWatch({ look: () => states[looks++], onChange: () => changes.push(looks) });
  watch.start();
  while (looks < states.length) watch.check();
  watch.stop();
  deepStrictEqual(changes, [3, 5]);
});

Deno.test("fileState() knows a file by what it is, and one that is missing", () => {
  const path = new URL(import.meta.url).pathname;
  strictEqual(fileState(path), fileState(path));
  strictEqual(fileState(`${path}.none`), undefined);
});
