import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { LoaderError } from "../capture/mod.ts";
import { FakeLogger, settled } from "../export/testing.ts";
import { type Runnable, runToEnd, type StopSignal, untilSignal } from "./run.ts";

const never = new Promise<void>(() => {});
const now = Promise.resolve();

/** Writes down what is called; `fails` names what rejects. */
function runnable(fails: string[], running = never): { agent: Runnable; calls: string[] } {
  const calls: string[] = [];
  const step = (name: string, result = now) => () => {
    calls.push(name);
    return fails.includes(name) ? Promise.reject(new Error(`${name} failed`)) : result;
  };
  return { calls, agent: { start: step("start"), run: step("run", running), stop: step("stop") } };
}

Deno.test("runToEnd() always stops, and gives 1 when anything failed", async () => {
  const all = ["start", "run", "stop"];
  const cases: [fails: string[], running: Promise<void>, signal: Promise<void>, calls: string[], lines: number][] = [
    [[], never, now, all, 0],
    [[], now, never, all, 0],
    [["start"], never, never, ["start", "stop"], 1],
    [["run"], never, never, all, 1],
    [["stop"], never, now, all, 1],
    [["start", "stop"], never, never, ["start", "stop"], 2],
  ];
  for (const [fails, running, signal, expected, lines] of cases) {
    const { agent, calls } = runnable(fails, running);
    const logger = new FakeLogger();
    const name = fails.join(" and ");
    strictEqual(await runToEnd(agent, signal, logger), fails.length > 0 ? 1 : 0, name);
    deepStrictEqual(calls, expected, name);
    deepStrictEqual(logger.lines, Array(lines).fill("error failed"), name);
  }
});

Deno.test("runToEnd() shows the verifier's log to who wants to see it", async () => {
  const { agent } = runnable([]);
  const error = new LoaderError("verifier", "refused", "0: R1=ctx");
  const logger = new FakeLogger();
  strictEqual(await runToEnd({ ...agent, start: () => Promise.reject(error) }, never, logger), 1);
  deepStrictEqual(logger.lines, ["error failed", "debug verifier_log"]);
});

Deno.test("untilSignal() resolves at the first signal and ends at once at the second, unless that is a hang-up", async () => {
  const cases: [signals: StopSignal[], resolved: boolean, ends: number][] = [
    [[], false, 0],
    [["SIGTERM"], true, 0],
    [["SIGINT"], true, 0],
    [["SIGHUP"], true, 0],
    [["SIGHUP", "SIGHUP"], true, 0],
    [["SIGTERM", "SIGHUP"], true, 0],
    [["SIGHUP", "SIGTERM"], true, 1],
    [["SIGINT", "SIGINT"], true, 1],
    [["SIGTERM", "SIGINT"], true, 1],
  ];
  for (const [signals, resolved, ends] of cases) {
    const handlers = new Map<StopSignal, () => void>();
    let isResolved = false;
    let endings = 0;
    const logger = new FakeLogger();
    const signal = untilSignal((name, handler) => handlers.set(name, handler), {
      endNow: () => void endings++,
      reload: () => false,
    }, logger);
    signal.then(() => isResolved = true);
    for (const name of signals) handlers.get(name)!();
    await settled();
    deepStrictEqual([isResolved, endings], [resolved, ends], signals.join(" "));
    deepStrictEqual(logger.lines, [...resolved ? ["info stopping"] : [], ...ends ? ["warn ended_at_once"] : []]);
  }
});

Deno.test("untilSignal() reloads at a hang-up and goes on", async () => {
  const handlers = new Map<StopSignal, () => void>();
  let reloads = 0;
  let isResolved = false;
  const actions = { endNow: () => {}, reload: () => ++reloads > 0 };
  const signal = untilSignal((name, handler) => handlers.set(name, handler), actions, new FakeLogger());
  signal.then(() => isResolved = true);
  handlers.get("SIGHUP")!();
  handlers.get("SIGHUP")!();
  await settled();
  deepStrictEqual([isResolved, reloads], [false, 2]);
  handlers.get("SIGTERM")!();
  handlers.get("SIGHUP")!();
  await settled();
  deepStrictEqual([isResolved, reloads], [true, 2]);
});
