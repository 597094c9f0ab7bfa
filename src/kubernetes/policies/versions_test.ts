import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { generator } from "../testing.ts";
import { Versions } from "./versions.ts";

const END_MS = 100;

Deno.test("Versions.at() agrees with the last that was said of a time, and a purge changes nothing after it", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = generator(seed);
    const versions = new Versions<number>();
    const said: { value: number | undefined; sinceMs: number }[] = [];
    const at = (timeMs: number) => said.findLast(({ sinceMs }) => sinceMs <= timeMs)?.value;
    let purgedMs = 0;
    for (let step = 0; step < 12; step++) {
      const one = { value: random(3) === 0 ? undefined : step, sinceMs: random(END_MS) };
      said.push(one);
      versions.set(one.value, one.sinceMs);
      if (random(4) === 0) {
        purgedMs = Math.max(purgedMs, random(END_MS));
        const isOver = one.value === undefined && one.sinceMs <= purgedMs;
        strictEqual(versions.purge(purgedMs), isOver, `seed ${seed}, step ${step}`);
      }
    }
    for (let timeMs = purgedMs; timeMs < END_MS; timeMs++) {
      const { value, sinceMs, untilMs } = versions.at(timeMs);
      strictEqual(value, at(timeMs), `seed ${seed} at ${timeMs}`);
      for (let same = Math.max(sinceMs, purgedMs); same < Math.min(untilMs, END_MS); same++) {
        strictEqual(at(same), value, `seed ${seed} from ${sinceMs} to ${untilMs}`);
      }
    }
  }
});

Deno.test("Versions of nothing say nothing", () => {
  deepStrictEqual(new Versions().at(5), { value: undefined, sinceMs: -Infinity, untilMs: Infinity });
});
