import { deepStrictEqual } from "node:assert/strict";
import { Log } from "./log.ts";
import { keepsForSuccessor, type SuccessorParts } from "./successor.ts";

const GONE = "its DaemonSet is gone (404)";
const cluster = (why: string | undefined) => ({ whyNoSuccessor: () => Promise.resolve(why) });

const CASES: [what: string, change: Partial<SuccessorParts>, keeps: boolean, line?: string][] = [
  ["a service", {}, true],
  ["a terminal", { isInteractive: true }, false],
  ["a terminal, told to keep", { isInteractive: true, onExit: "keep" }, true],
  ["told to detach", { onExit: "detach" }, false],
  ["nothing pinned, told to keep", { onExit: "keep", isPinned: false }, false],
  ["a cluster that may send a successor", { cluster: cluster(undefined) }, true],
  ["a cluster that sends none", { cluster: cluster(GONE) }, false, `detaches and leaves nothing: ${GONE}`],
  ["a cluster that sends none, told to keep", { cluster: cluster(GONE), onExit: "keep" }, true],
];

for (const [what, change, keeps, line] of CASES) {
  Deno.test(`keepsForSuccessor() with ${what}: ${keeps}`, async () => {
    const messages: string[] = [];
    const write = (text: string) => void messages.push(JSON.parse(text).message);
    const kept = await keepsForSuccessor({
      ...{ onExit: "auto", shutdownTimeoutMs: 5000, isPinned: true, isInteractive: false, cluster: undefined },
      logger: new Log({ level: "info", format: "json", write, now: Date.now }).logger("agent"),
      ...change,
    });
    deepStrictEqual([kept, messages], [keeps, line === undefined ? [] : [line]]);
  });
}

Deno.test("keepsForSuccessor() asks the cluster for two seconds, and a fifth of the stop's time at most", async () => {
  const asked: number[] = [];
  const whyNoSuccessor = (timeoutMs: number) => (asked.push(timeoutMs), Promise.resolve(undefined));
  const logger = new Log({ level: "info", format: "json", write: () => {}, now: Date.now }).logger("agent");
  for (const shutdownTimeoutMs of [5000, 60_000]) {
    const parts = { onExit: "auto", isPinned: true, isInteractive: false } as const;
    await keepsForSuccessor({ ...parts, shutdownTimeoutMs, cluster: { whyNoSuccessor }, logger });
  }
  deepStrictEqual(asked, [1000, 2000]);
});
