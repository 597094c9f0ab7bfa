import assert from "node:assert/strict";
import { FakeLogger } from "../export/testing.ts";
import { LoaderError, type LoaderErrorCode, type OpenOptions, type OpenReport } from "./loader.ts";
import { namespacePath, openSession } from "./open.ts";
import { FakeLoader } from "./testing.ts";

const OPTIONS: OpenOptions = {
  pinRoot: "/pins",
  instance: "one",
  flowCapacity: 100,
  eventCapacity: 16,
  highWaterPercent: 80,
  networkNamespace: "",
  attach: { mode: "auto", tcxFirst: true, tcPriority: 1 },
};

Deno.test("namespacePath() knows the names of namespaces, and takes anything else for a file", () => {
  const cases: [setting: string, path: string][] = [
    ["auto", ""],
    ["self", ""],
    ["host", "/proc/1/ns/net"],
    ["/run/netns/blue", "/run/netns/blue"],
  ];
  for (const [setting, path] of cases) assert.equal(namespacePath(setting), path);
});

Deno.test("openSession() logs what is worth knowing about the session, and nothing else", () => {
  const cases: [report: Partial<OpenReport>, lines: string[]][] = [
    [{}, []],
    [{ reused: true }, []],
    [{ pinned: false, pinProblem: "no BPF file system" }, ["warn not_pinned"]],
    [{ reused: true, takenOver: 3 }, ["info taken_over"]],
    [{ reused: true, capacity: 50 }, ["warn capacity_kept"]],
    [{ foreignLayouts: ["abc"] }, ["warn foreign_layout"]],
  ];
  for (const [report, lines] of cases) {
    const logger = new FakeLogger();
    const loader = new FakeLoader(undefined, report);
    assert.equal(openSession(loader, OPTIONS, logger).session, loader.session);
    assert.deepEqual(logger.lines, lines);
  }
});

Deno.test("openSession() says what to do when it cannot", () => {
  const cases: [code: LoaderErrorCode, message: string][] = [
    ["permission", "Cannot start: why; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"],
    ["locked", "Cannot start: why; stop it, or give this agent a name of its own with --instance"],
    ["verifier", "Cannot start: why; please report this with the verifier's log"],
    ["system", "Cannot start: why"],
  ];
  for (const [code, message] of cases) {
    const loader = new FakeLoader();
    loader.openError = new LoaderError(code, "why", "log");
    assert.throws(() => openSession(loader, OPTIONS, new FakeLogger()), { code, message, verifierLog: "log" });
  }
});
