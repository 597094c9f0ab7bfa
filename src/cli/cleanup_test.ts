import { deepStrictEqual, throws } from "node:assert/strict";
import { type CleanupReport, LoaderError, type LoaderErrorCode } from "../capture/mod.ts";
import { runCleanup } from "./cleanup.ts";

const NOTHING: CleanupReport = { instances: [], running: [], attachments: 0 };
const ANY = { instance: "default", instanceGiven: false };

Deno.test("runCleanup() says what was removed and what still runs", () => {
  const cases: [report: Partial<CleanupReport>, printed: string][] = [
    [{}, "nothing of ours was left (0 attachments)\n"],
    [{ instances: ["a", "b"], attachments: 4 }, "removed a, b (4 attachments)\n"],
    [{ instances: ["a"], attachments: 1 }, "removed a (1 attachment)\n"],
    [{ running: ["c", "d"] }, "nothing of ours was left (0 attachments)\nstill running, left alone: c, d\n"],
  ];
  for (const [report, expected] of cases) {
    let printed = "";
    const output = { print: (text: string) => void (printed += text), error: () => {} };
    deepStrictEqual(runCleanup(ANY, { cleanup: () => ({ ...NOTHING, ...report }) }, "/pins", output), 0);
    deepStrictEqual(printed, expected);
  }
});

Deno.test("runCleanup() cleans up the instance that was named, else all", () => {
  const asked: object[] = [];
  const loader = { cleanup: (options: object) => (asked.push(options), NOTHING) };
  const output = { print: () => {}, error: () => {} };
  runCleanup(ANY, loader, "/pins", output);
  runCleanup({ instance: "two", instanceGiven: true }, loader, "/pins", output);
  deepStrictEqual(asked, [{ pinRoot: "/pins", instance: "" }, { pinRoot: "/pins", instance: "two" }]);
});

Deno.test("runCleanup() says what to do when it cannot", () => {
  const cases: [code: LoaderErrorCode, message: string][] = [
    [
      "locked",
      "Cannot clean up: why; stop it first, or run cleanup without --instance to remove only what no longer runs",
    ],
    ["permission", "Cannot clean up: why; run as root"],
    ["system", "Cannot clean up: why"],
  ];
  for (const [code, message] of cases) {
    const cleanup = () => {
      throw new LoaderError(code, "why");
    };
    throws(() => runCleanup(ANY, { cleanup }, "/pins", { print: () => {}, error: () => {} }), { code, message });
  }
});
