import assert from "node:assert/strict";
import { FakeLogger } from "../export/testing.ts";
import { LoaderError, type LoaderErrorCode, type OpenOptions, type OpenReport } from "./loader.ts";
import { openSession } from "./open.ts";
import { FakeLoader } from "./testing.ts";

const OPTIONS: OpenOptions = {
  pinRoot: "/pins",
  instance: "one",
  flowCapacity: 100,
  eventCapacity: 16,
  highWaterPercent: 80,
  networkNamespace: "auto",
  attach: { mode: "auto", tcxFirst: true, tcPriority: 1 },
};

Deno.test("openSession() logs what is worth knowing about the session, and nothing else", async () => {
  const cases: [report: Partial<OpenReport>, lines: string[]][] = [
    [{}, []],
    [{ reused: true }, []],
    [{ pinned: false, pinProblem: "no BPF file system" }, ["warn not_pinned"]],
    [{ reused: true, takenOver: 3 }, ["info taken_over"]],
    [{ reused: true, takenOver: 3, killed: 5 }, ["info taken_over", "warn killed"]],
    [{ reused: true, capacity: 50 }, ["warn capacity_kept"]],
    [{ foreign: [{ path: "/pins/one/abc", problem: "" }] }, ["info foreign_layout"]],
    [{ foreign: [{ path: "/pins/one/abc", problem: "no description" }] }, ["warn foreign_layout_dropped"]],
  ];
  for (const [report, lines] of cases) {
    const logger = new FakeLogger();
    const loader = new FakeLoader(undefined, report);
    assert.equal((await openSession(loader, OPTIONS, logger)).session, loader.session);
    assert.deepEqual(logger.lines, lines);
  }
});

Deno.test("openSession() says what to do when it cannot", async () => {
  const cases: [code: LoaderErrorCode, message: string][] = [
    ["permission", "Cannot start: why; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"],
    ["locked", "Cannot start: why; stop it, or give this agent a name of its own with --instance"],
    [
      "verifier",
      "Cannot start: why; CAP_PERFMON is needed for it; with that, please report this with the verifier's log",
    ],
    ["system", "Cannot start: why"],
  ];
  for (const [code, message] of cases) {
    const loader = new FakeLoader();
    loader.openError = new LoaderError(code, "why", "log");
    await assert.rejects(openSession(loader, OPTIONS, new FakeLogger()), { code, message, verifierLog: "log" });
  }
});
