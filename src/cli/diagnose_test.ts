import assert from "node:assert/strict";
import { type AttachResult, LoaderError, type LoaderErrorCode, type OpenOptions } from "../capture/mod.ts";
import { FakeLoader, FakeSession, networkInterface } from "../capture/testing.ts";
import { type DiagnoseOptions, runDiagnose } from "./diagnose.ts";

const LINKS = [networkInterface("lo", 1), networkInterface("eth0", 2), networkInterface("veth1", 3)];

/** A kernel whose hooks refuse by kind and name, such as `tcx veth1`. */
class Kernel extends FakeLoader {
  readonly sessions: HookSession[] = [];
  readonly refuses = new Map<string, LoaderErrorCode>();

  override open(options: OpenOptions): ReturnType<FakeLoader["open"]> {
    if (this.openError) return Promise.reject(this.openError);
    const session = new HookSession(options.attach.mode, this.refuses);
    this.sessions.push(session);
    return super.open(options).then((opened) => ({ ...opened, session }));
  }
}

class HookSession extends FakeSession {
  #attached = new Set<number>();
  constructor(readonly mode: string, readonly refuses: ReadonlyMap<string, LoaderErrorCode>) {
    super();
    this.links = LINKS;
  }
  override interfaces() {
    return Promise.resolve(this.links.map((link) => ({ ...link, attached: this.#attached.has(link.index) })));
  }
  override attach([index]: readonly number[]): Promise<AttachResult[]> {
    const { name } = LINKS.find((link) => link.index === index)!;
    this.calls.push(`attach ${name}`);
    const code = this.refuses.get(`${this.mode} ${name}`);
    if (code) return Promise.resolve([{ error: new LoaderError(code, `no ${this.mode}`) }]);
    this.#attached.add(index);
    return Promise.resolve([{ mode: "tcx" }]);
  }
  override detachAll() {
    this.#attached.clear();
    return super.detachAll();
  }
}

async function diagnose(change: Partial<DiagnoseOptions> = {}, prepare: (kernel: Kernel) => void = () => {}) {
  const kernel = new Kernel();
  prepare(kernel);
  let printed = "";
  const output = { print: (text: string) => void (printed += text), error: () => assert.fail() };
  const code = await runDiagnose(
    { interfaces: [], patterns: [], skip: [], json: true, ...change },
    kernel,
    "/sys/fs/bpf/mermin",
    output,
  );
  const parsed: { ok: boolean; checks: Record<string, string>[] } = change.json === false
    ? { ok: code === 0, checks: [] }
    : JSON.parse(printed);
  const bad = parsed.checks.filter(({ status }) => status !== "ok");
  assert.equal(parsed.ok, code === 0);
  for (const session of kernel.sessions) assert.equal(session.calls.at(-1), "close");
  return {
    code,
    printed,
    kernel,
    checks: parsed.checks,
    bad: bad.map(({ check, status }) => `${check} ${status}`),
    all: bad,
  };
}

Deno.test("runDiagnose() tries both kinds of hooks on the interfaces that the agent would watch, and pins nothing", async () => {
  const { code, kernel, checks } = await diagnose();
  assert.equal(code, 0);
  assert.deepEqual(checks.map(({ check }) => check), [
    ...["kernel", "capabilities", "BPF file system", "BTF", "maps, programs", "interfaces", "veth1"],
  ]);
  assert.deepEqual(kernel.opened.map(({ pinRoot, attach: { mode } }) => [pinRoot, mode]), [["", "tcx"], [
    "",
    "clsact",
  ]]);
  assert.deepEqual(kernel.sessions.map(({ mode, calls }) => [mode, calls]), [
    ["tcx", ["attach veth1", "detach all", "close"]],
    ["clsact", ["attach veth1", "detach all", "close"]],
  ]);
});

const configured = (...interfaces: string[]) => ({ interfaces, networkNamespace: "/run/netns/a" });

Deno.test("runDiagnose() takes the interfaces that are asked for", async () => {
  const cases: [name: string, change: Partial<DiagnoseOptions>, tried: string[], bad: string[]][] = [
    ["a name", { interfaces: ["eth0"] }, ["eth0"], []],
    ["a pattern", { patterns: ["*eth*"] }, ["eth0", "veth1"], []],
    ["what is left", { patterns: ["*"], skip: ["lo", "v*"] }, ["eth0"], []],
    ["all but the loopback where no pattern matches", { skip: ["veth1"] }, ["eth0"], []],
    ["a name that is not there", { interfaces: ["eth7", "eth0"] }, ["eth0"], ["interfaces failed"]],
    ["a pattern that matches none", { patterns: ["wlan*"] }, [], ["interfaces failed"]],
    ["what the configuration says", { configured: configured("*th*") }, ["eth0", "veth1"], []],
    ["a configuration that matches none", { configured: configured("wlan*") }, [], ["interfaces failed"]],
    ["another than the configuration says", { configured: configured("wlan*"), patterns: ["eth*"] }, ["eth0"], []],
  ];
  for (const [name, change, tried, bad] of cases) {
    const result = await diagnose(change);
    assert.deepEqual(result.checks.slice(6).map(({ check }) => check), tried, name);
    assert.deepEqual(result.bad, bad, name);
    assert.equal(result.code, bad.length > 0 ? 1 : 0, name);
    const namespace = change.configured ? "/run/netns/a" : "auto";
    assert.ok(result.kernel.opened.every(({ networkNamespace }) => networkNamespace === namespace), name);
  }
});

Deno.test("runDiagnose() says what to do about everything that is not well", async (t) => {
  const facts = (change: Partial<FakeLoader["kernelFacts"]>) => (kernel: Kernel) => {
    kernel.kernelFacts = { ...kernel.kernelFacts, ...change };
  };
  const refuse = (...hooks: [hook: string, code: LoaderErrorCode][]) => (kernel: Kernel) => {
    for (const [hook, code] of hooks) kernel.refuses.set(hook, code);
  };
  const failOpen = (code: LoaderErrorCode) => (kernel: Kernel) =>
    kernel.openError = new LoaderError(code, "refused", "log\nlast line\n");
  const cases: [name: string, prepare: (kernel: Kernel) => void, bad: string[], code: number][] = [
    ["no capabilities", facts({ capabilities: [], user: 65534 }), ["capabilities failed"], 1],
    ["just those it needs", facts({ capabilities: [12, 38, 39] }), [], 0],
    ["the old capability for the two new ones", facts({ capabilities: [12, 21] }), [], 0],
    ["one of them missing", facts({ capabilities: [21, 38, 39] }), ["capabilities failed"], 1],
    ["no bpffs", facts({ bpffsProblem: "no BPF file system" }), ["BPF file system warning"], 0],
    ["no right to load", failOpen("permission"), ["maps, programs failed", "interfaces skipped"], 1],
    ["a verifier that refuses", failOpen("verifier"), ["maps, programs failed", "interfaces skipped"], 1],
    ["an old kernel", failOpen("unsupported"), ["maps, programs failed", "interfaces skipped"], 1],
    ["a kernel without TCX", refuse(["tcx veth1", "unsupported"]), [], 0],
    ["a kernel without clsact", refuse(["clsact veth1", "system"]), ["veth1 warning"], 0],
    ["no hook at all", refuse(["clsact veth1", "permission"], ["tcx veth1", "permission"]), ["veth1 failed"], 1],
  ];
  for (const [name, prepare, bad, code] of cases) {
    await t.step(name, async () => {
      const result = await diagnose({}, prepare);
      assert.deepEqual(result.bad, bad);
      assert.equal(result.code, code);
      for (const { detail, advice } of result.all) assert.ok(detail && advice, `${detail} → ${advice}`);
    });
  }
});

Deno.test("runDiagnose() shows text for people, and tells what it does before it does it", async () => {
  const { printed } = await diagnose({ json: false }, (kernel) => kernel.refuses.set("tcx veth1", "system"));
  const [before, after] = printed.split("Now the programs are attached");
  assert.match(before, /^kernel {11}ok {7}Linux 6\.18\.0/m);
  assert.match(after, /^ to both directions of veth1 for a moment/);
  assert.match(
    after,
    /^veth1 {12}warning {2}clsact: attached and detached; TCX: no tcx\n +→ the agent can use clsact/m,
  );
  assert.match(after, /Of 7 checks: 1 can be done without\.\n$/);
});

Deno.test("runDiagnose() refuses a pattern that is none", async () => {
  await assert.rejects(diagnose({ patterns: ["/(/"] }), { name: "UsageError", message: /not a regular expression/ });
});
