/**
 * Opens a session with the options of its argument, ends all flows, and kills itself while it reads their records: by another
 * thread, at a moment that nobody chose.
 */

import { builtLoader, NOTHING_DUE } from "./session.ts";

/** Waits and kills; says that it is there. */
const KILLER = `
self.onmessage = ({ data: { signal, delayMs } }) => {
  Atomics.wait(signal, 0, 0);
  const untilMs = performance.now() + delayMs;
  while (performance.now() < untilMs);
  Deno.kill(Deno.pid, "SIGKILL");
};
self.postMessage("ready");
`;
/** The most that it waits, about what the reads take meanwhile. */
const MAX_DELAY_MS = 2;
/** However slow the killer is: no more reads than these. */
const READS_MEANWHILE = 4;

const { options, maxReads } = JSON.parse(Deno.args[0]);
const killer = new Worker(URL.createObjectURL(new Blob([KILLER], { type: "text/javascript" })), { type: "module" });
await new Promise((resolve) => killer.onmessage = resolve);
const signal = new Int32Array(new SharedArrayBuffer(4));
killer.postMessage({ signal, delayMs: Math.random() * MAX_DELAY_MS });
const { session } = await builtLoader().open(options);
await session.sweep({ ...NOTHING_DUE, force: true });
const reads = 1 + Math.floor(Math.random() * (maxReads - READS_MEANWHILE));
for (let i = 0; i < reads; i++) session.read();
Atomics.store(signal, 0, 1);
Atomics.notify(signal, 0);
for (let i = 0; i < READS_MEANWHILE; i++) session.read();
// It is killed a moment later.
await new Promise(() => {});
