/** The checks of `mermin diagnose bpf`: each says how it is, and what to do when it is not well. */

import type { CaptureSession, KernelFacts, Loader, LoaderError, NetworkInterface } from "../capture/mod.ts";

/** `warning`: the agent works without it; `skipped`: could not be tried. */
export type Status = "ok" | "warning" | "failed" | "skipped";

export interface Finding {
  readonly check: string;
  readonly status: Status;
  readonly detail: string;
  /** What to do. */
  readonly advice?: string;
}

/** Kinds of hooks, in the order in which the agent tries them. */
export const MODES = ["tcx", "clsact"] as const;
export type HookMode = (typeof MODES)[number];

const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21, CAP_SYS_RESOURCE: 24, CAP_PERFMON: 38, CAP_BPF: 39 };
/** All that the agent needs in its own network namespace. */
const NEEDED = ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"] as const;

export function checkKernel({ kernel, machine }: KernelFacts): Finding {
  return { check: "kernel", status: "ok", detail: `Linux ${kernel} ${machine}; what it can do is tried below` };
}

export function checkCapabilities({ capabilities, user }: KernelFacts): Finding {
  const has = (name: keyof typeof CAPABILITIES) => capabilities.includes(CAPABILITIES[name]);
  // CAP_SYS_ADMIN stands for the two that were once a part of it.
  const stands = (name: typeof NEEDED[number]) => has(name) || (name !== "CAP_NET_ADMIN" && has("CAP_SYS_ADMIN"));
  const missing = NEEDED.filter((name) => !stands(name));
  const other = has("CAP_SYS_ADMIN") ? "" : "; without CAP_SYS_ADMIN no other network namespace can be watched";
  if (missing.length === 0) {
    const present = NEEDED.map((name) => has(name) ? name : `${name} (by CAP_SYS_ADMIN)`).join(", ");
    return { check: "capabilities", status: "ok", detail: `${present}${other}; CAP_SYS_RESOURCE is not needed` };
  }
  return {
    check: "capabilities",
    status: "failed",
    detail: `user ${user} lacks ${missing.join(", ")}`,
    advice: "run it as root; in a container add these capabilities; for a service set AmbientCapabilities= to them",
  };
}

export function checkBpffs({ bpffsProblem }: KernelFacts): Finding {
  if (bpffsProblem === "") {
    return { check: "BPF file system", status: "ok", detail: "/sys/fs/bpf can be written: restarts lose no flow" };
  }
  return {
    check: "BPF file system",
    status: "warning",
    detail: `${bpffsProblem}: the agent runs, but a restart loses the open flows`,
    advice: "mount -t bpf bpf /sys/fs/bpf; in a container mount the host's /sys/fs/bpf, writable",
  };
}

export function checkBtf({ btf }: KernelFacts): Finding {
  const detail = btf ? "/sys/kernel/btf/vmlinux is there" : "the kernel does not describe its types";
  return { check: "BTF", status: "ok", detail: `${detail}; not needed by this version` };
}

/** Loads the real programs into maps of their own. */
export async function checkPrograms(
  open: () => ReturnType<Loader["open"]>,
): Promise<{ finding: Finding; session?: CaptureSession }> {
  const startMs = performance.now();
  try {
    const { session } = await open();
    const ms = Math.round(performance.now() - startMs);
    return { session, finding: { check: "maps, programs", status: "ok", detail: `created and verified in ${ms} ms` } };
  } catch (error) {
    return { finding: { check: "maps, programs", status: "failed", ...explainLoad(error as LoaderError) } };
  }
}

function explainLoad({ code, message, verifierLog }: LoaderError): { detail: string; advice: string } {
  switch (code) {
    case "permission":
      return {
        detail: message,
        advice: "give it the capabilities named above; seccomp or lockdown may forbid bpf(2) too",
      };
    case "verifier": {
      const last = verifierLog?.trim().split("\n").at(-1) ?? "";
      return {
        detail: last === "" ? message : `${message}: ${last}`,
        advice: "please report this with the kernel's version; mermin --log-level debug shows the verifier's whole log",
      };
    }
    case "limit":
      return {
        detail: message,
        advice: "raise RLIMIT_MEMLOCK (LimitMEMLOCK= of the service, ulimit -l) or the memory limit",
      };
    default:
      return { detail: message, advice: "use a kernel from 5.12 on, with CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF" };
  }
}

/** What a try to attach to one interface and detach again came to: nothing, or why it failed. */
export interface Tried {
  readonly mode: HookMode;
  readonly problem?: { code: LoaderError["code"]; message: string };
}

/** Attaches `session`, whose hooks are of `mode`, to both directions of `link`, looks, detaches, and looks again. */
export async function tryHook(session: CaptureSession, mode: HookMode, link: NetworkInterface): Promise<Tried> {
  const isAttached = async () => (await session.interfaces()).find(({ index }) => index === link.index)?.attached;
  try {
    const [result] = await session.attach([link.index]);
    if ("error" in result) return { mode, problem: result.error };
    const was = await isAttached();
    await session.detachAll();
    if (!was) {
      return { mode, problem: { code: "system", message: "the kernel took the programs and does not have them" } };
    }
    if (await isAttached()) {
      return { mode, problem: { code: "system", message: "the programs stayed after detaching" } };
    }
    return { mode };
  } catch (error) {
    return { mode, problem: error as LoaderError };
  }
}

/** The finding about one interface, of its tries. */
export function judgeHooks(name: string, tries: readonly Tried[]): Finding {
  const title = { tcx: "TCX", clsact: "clsact" };
  const good = tries.filter(({ problem }) => !problem).map(({ mode }) => title[mode]);
  const bad = tries.filter(({ problem }) => problem);
  const whys = bad.map(({ mode, problem }) => `${title[mode]}: ${problem!.message}`);
  if (bad.length === 0) return { check: name, status: "ok", detail: `attached and detached: ${good.join(", ")}` };
  const detail = [...good.map((mode) => `${mode}: attached and detached`), ...whys].join("; ");
  // A kernel before 6.6 has no TCX, and nothing is wrong with it.
  if (good.length > 0 && bad.every(({ problem }) => problem!.code === "unsupported")) {
    return { check: name, status: "ok", detail };
  }
  if (good.length > 0) {
    return {
      check: name,
      status: "warning",
      detail,
      advice: `the agent can use ${good.join(", ")}; the other is spare`,
    };
  }
  return { check: name, status: "failed", detail, advice: adviceFor(bad[0].problem!.code) };
}

function adviceFor(code: LoaderError["code"]): string {
  switch (code) {
    case "permission":
      return "attaching needs CAP_NET_ADMIN in the namespace of the interface";
    case "not_found":
      return "the interface went away meanwhile; try again";
    case "unsupported":
      return "load sch_ingress and cls_bpf (modprobe), or use a kernel from 6.6 on";
    case "limit":
      return "allow it more open files (ulimit -n) or memory";
    default:
      return "see dmesg; another program may hold this hook alone: tc filter show, bpftool net";
  }
}
