/** `mermin diagnose bpf`: what this host can do, found by trying. */

import type { CaptureSession, Loader, NetworkInterface, OpenOptions } from "../capture/mod.ts";
import { checkPattern, instrumentSettings } from "../interfaces/config.ts";
import { selectInterfaces } from "../interfaces/pattern.ts";
import { UsageError } from "./arguments.ts";
import {
  checkBpffs,
  checkBtf,
  checkCapabilities,
  checkKernel,
  checkPrograms,
  type Finding,
  type HookMode,
  judgeHooks,
  MODES,
  type Status,
  type Tried,
  tryHook,
} from "./host_checks.ts";
import { EXIT_FAILURE, type Output } from "./output.ts";

export interface DiagnoseOptions {
  /** Names that must exist. */
  readonly interfaces: readonly string[];
  /** Names, globs and regular expressions; with no name and no pattern the configuration's, or the agent's own. */
  readonly patterns: readonly string[];
  /** Interfaces to leave alone. */
  readonly skip: readonly string[];
  readonly json: boolean;
  /** What the configuration says, if there is one. */
  readonly configured?: { readonly interfaces: readonly string[]; readonly networkNamespace: string };
}

type DiagnosedLoader = Pick<Loader, "facts" | "open" | "version">;

const NAME_WIDTH = 16;
const STATUS_WIDTH = 8;
/** What the agent watches when it has no configuration. */
const ALL_BUT_LOOPBACK = "/^(?!lo$)/";

/** Runs all checks and shows each as soon as it is done; returns the exit code: 1 when one failed. */
export async function runDiagnose(
  options: DiagnoseOptions,
  loader: DiagnosedLoader,
  pinRoot: string,
  output: Output,
): Promise<number> {
  for (const pattern of [...options.interfaces, ...options.patterns, ...options.skip]) {
    const wrong = checkPattern(pattern);
    if (wrong) throw new UsageError(`"${pattern}": ${wrong}`);
  }
  const findings: Finding[] = [];
  const say = (text: string) => options.json || output.print(text);
  for await (const finding of diagnose(options, loader, pinRoot, say)) {
    findings.push(finding);
    say(asText(finding));
  }
  const count = (wanted: Status) => findings.filter(({ status }) => status === wanted).length;
  const ok = count("failed") + count("skipped") === 0;
  if (options.json) output.print(`${JSON.stringify({ ok, checks: findings }, undefined, 2)}\n`);
  else say(`\n${verdict(findings.length, count("failed"), count("skipped"), count("warning"))}\n`);
  return ok ? 0 : EXIT_FAILURE;
}

async function* diagnose(
  options: DiagnoseOptions,
  loader: DiagnosedLoader,
  pinRoot: string,
  say: (text: string) => void,
): AsyncGenerator<Finding> {
  say(`mermin ${loader.version}: what it can do on this host\n\n`);
  const facts = loader.facts(pinRoot);
  yield checkKernel(facts);
  yield checkCapabilities(facts);
  yield checkBpffs(facts);
  yield checkBtf(facts);
  const sessions = new Map<HookMode, CaptureSession>();
  try {
    for (const mode of MODES) {
      const { finding, session } = await checkPrograms(() => loader.open(sessionOptions(mode, options)));
      if (session) sessions.set(mode, session);
      // The second session has the same programs, for the other kind of hook.
      if (mode === MODES[0] || !session) yield finding;
      if (!session) break;
    }
    yield* diagnoseInterfaces(options, sessions, say);
  } finally {
    for (const session of sessions.values()) session.close(false);
  }
}

async function* diagnoseInterfaces(
  options: DiagnoseOptions,
  sessions: ReadonlyMap<HookMode, CaptureSession>,
  say: (text: string) => void,
): AsyncGenerator<Finding> {
  const [session] = sessions.values();
  if (sessions.size < MODES.length) {
    const detail = "not tried, because the programs cannot be loaded";
    yield { check: "interfaces", status: "skipped", detail, advice: "mend what failed above first" };
    return;
  }
  const existing = await session.interfaces();
  const { finding, chosen } = choose(options, existing);
  yield finding;
  if (chosen.length === 0) return;
  say(
    `\nNow the programs are attached to both directions of ${
      chosen.map(({ name }) => name).join(", ")
    } for a moment,\n` +
      `by TCX and by clsact. Packets pass unchanged; an empty clsact qdisc stays where there was none.\n\n`,
  );
  for (const link of chosen) {
    const tries: Tried[] = [];
    for (const [mode, session] of sessions) tries.push(await tryHook(session, mode, link));
    yield judgeHooks(link.name, tries);
  }
}

/** Which interfaces are tried, and what is to be said of that. */
function choose(
  { interfaces, patterns, skip, configured }: DiagnoseOptions,
  existing: readonly NetworkInterface[],
): { finding: Finding; chosen: NetworkInterface[] } {
  const names = existing.map(({ name }) => name);
  const skipped = new Set(selectInterfaces(existing, skip).map(({ name }) => name));
  const select = (wanted: readonly string[]) =>
    selectInterfaces(existing, wanted).filter(({ name }) => !skipped.has(name));
  const isGiven = interfaces.length + patterns.length > 0;
  const defaults = configured?.interfaces ?? instrumentSettings.default.interfaces;
  const isDefault = !isGiven && (configured !== undefined || select(defaults).length > 0);
  const wanted = isGiven ? [...interfaces, ...patterns] : isDefault ? defaults : [ALL_BUT_LOOPBACK];
  const chosen = select(wanted);
  const missing = interfaces.filter((pattern) => selectInterfaces(existing, [pattern]).length === 0);
  const there = `there are ${names.join(", ") || "none at all"}`;
  if (missing.length > 0) {
    const detail = `no interface ${missing.join(", ")}; ${there}`;
    return {
      chosen,
      finding: { check: "interfaces", status: "failed", detail, advice: "name one of those there are" },
    };
  }
  if (chosen.length === 0) {
    const detail = `none matches ${wanted.join(", ")}; ${there}`;
    const advice = configured && !isGiven
      ? "set discovery.instrument.interfaces to what there is"
      : "name one with --interface or --pattern";
    return { chosen, finding: { check: "interfaces", status: "failed", detail, advice } };
  }
  const why = isGiven
    ? `match ${wanted.join(", ")}`
    : isDefault
    ? `match the patterns of the ${configured ? "configuration" : "agent"}`
    : "are not the loopback (none matches the patterns that the agent has for clusters)";
  return {
    chosen,
    finding: { check: "interfaces", status: "ok", detail: `${chosen.length} of ${names.length} ${why}` },
  };
}

/** Nothing is pinned: running agents and what they left are not touched. */
function sessionOptions(mode: HookMode, { configured }: DiagnoseOptions): OpenOptions {
  return {
    pinRoot: "",
    instance: `diagnose-${mode}`,
    flowCapacity: 1024,
    eventCapacity: 1024,
    highWaterPercent: 80,
    networkNamespace: configured?.networkNamespace ?? "auto",
    attach: { mode, tcxFirst: true, tcPriority: instrumentSettings.default.tcPriority },
  };
}

function asText({ check, status, detail, advice }: Finding): string {
  const line = `${check.padEnd(NAME_WIDTH)} ${status.padEnd(STATUS_WIDTH)} ${detail}\n`;
  return advice === undefined ? line : `${line}${" ".repeat(NAME_WIDTH + STATUS_WIDTH + 2)}→ ${advice}\n`;
}

function verdict(all: number, failed: number, skipped: number, warnings: number): string {
  const counts = [[failed, "failed"], [skipped, "not tried"], [warnings, "can be done without"]] as const;
  const noted = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return noted.length === 0 ? `All ${all} checks are well.` : `Of ${all} checks: ${noted.join(", ")}.`;
}
