import { parseArgs } from "node:util";
import { type Flags, inWords, nearest } from "../config/mod.ts";
import type { DiagnoseOptions } from "./diagnose.ts";

/** What the command line asks for. */
export interface Arguments {
  readonly command: Command;
  /** `--config`, or the file that `validate` was given. */
  readonly configPath?: string;
  /** Name of this agent among those of the host. */
  readonly instance: string;
  /** Whether the name was given, by flag or variable. */
  readonly instanceGiven: boolean;
  /** `MERMIN_ATTACH`: the kind of hook, for tests and for kernels whose TCX misbehaves. */
  readonly attachMode: AttachMode;
  /** Flags that override settings; see `Setting.flag`. */
  readonly flags: Flags;
  /** Of `diagnose bpf`. */
  readonly diagnose?: DiagnoseOptions;
}

export type AttachMode = typeof ATTACH_MODES[number];
export type Command = "run" | "validate" | "diagnose" | "cleanup" | "permissions" | "help" | "version";

/** A command line that cannot be understood: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Names as in `--help`; a `text` flag takes a value. */
const OPTIONS = {
  config: { type: "string", short: "c" },
  "log-level": { type: "string" },
  "auto-reload": { type: "boolean" },
  interface: { type: "string", multiple: true },
  pattern: { type: "string", multiple: true },
  skip: { type: "string", multiple: true },
  json: { type: "boolean" },
  instance: { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
} as const;

const ATTACH_MODES = ["auto", "tcx", "clsact"] as const;
const COMMANDS = ["validate", "diagnose", "cleanup", "permissions"] as const;

/**
 * Reads the command line (without the program's name); `env` is asked for what a flag would override.
 *
 * @throws {UsageError} when it holds something unknown or something is missing
 */
export function parseArguments(args: readonly string[], env: (name: string) => string | undefined): Arguments {
  // Not strict: an unknown flag shall be answered with the nearest known one.
  const { values, positionals, tokens } = parseArgs({
    args: [...eachWithItsFlag(args)],
    options: OPTIONS,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) if (token.kind === "option") checkOption(token);
  const value = (name: "config" | "log-level" | "instance") => values[name] as string | undefined;
  const { command, file } = commandOf(positionals);
  const many = (name: "interface" | "pattern" | "skip") => values[name] as string[] | undefined;
  const diagnoses = { patterns: many("pattern") ?? [], skip: many("skip") ?? [], json: values.json === true };
  if (command !== "diagnose" && (diagnoses.json || diagnoses.patterns.length + diagnoses.skip.length > 0)) {
    throw new UsageError("--pattern, --skip and --json belong to diagnose bpf");
  }
  const instance = value("instance") ?? env("MERMIN_INSTANCE");
  if (file !== undefined && value("config") !== undefined) {
    throw new UsageError(`give either a file or --config, not both`);
  }
  return {
    command: values.help ? "help" : values.version ? "version" : command,
    configPath: file ?? value("config"),
    instance: instanceName(instance || "default"),
    instanceGiven: !!instance,
    attachMode: attachMode(env("MERMIN_ATTACH") || "auto"),
    flags: {
      "log-level": value("log-level"),
      "auto-reload": values["auto-reload"] as boolean | undefined,
      interface: many("interface"),
    },
    diagnose: command === "diagnose" ? { interfaces: many("interface") ?? [], ...diagnoses } : undefined,
  };
}

/** `--pattern a b` as `--pattern a --pattern b`. */
function* eachWithItsFlag(args: readonly string[]): Generator<string> {
  let flag: string | undefined;
  let hasValue = false;
  for (const arg of args) {
    if (arg.startsWith("-")) {
      flag = arg === "--pattern" || arg === "--skip" ? arg : undefined;
      hasValue = false;
    } else if (flag !== undefined && hasValue) yield flag;
    else hasValue = true;
    yield arg;
  }
}

function checkOption({ name, rawName, value, inlineValue }: {
  name: string;
  rawName: string;
  value?: string;
  inlineValue?: boolean;
}): void {
  if (!Object.hasOwn(OPTIONS, name)) {
    const near = nearest(name, Object.keys(OPTIONS));
    const hint = near === undefined ? "see --help" : `did you mean --${near}?`;
    throw new UsageError(`unknown flag ${rawName}; ${hint}`);
  }
  const { type } = OPTIONS[name as keyof typeof OPTIONS];
  if (type === "boolean" && value !== undefined) throw new UsageError(`${rawName} takes no value`);
  if (type === "string" && (!value || (!inlineValue && value.startsWith("-")))) {
    throw new UsageError(`${rawName} needs a value; see --help`);
  }
}

function commandOf(positionals: readonly string[]): { command: Command; file?: string } {
  const [name, file, ...rest] = positionals;
  if (name === undefined) return { command: "run" };
  if (name === "help") return { command: "help" };
  const command = COMMANDS.find((known) => known === name);
  if (!command) {
    const near = nearest(name, COMMANDS);
    const hint = near === undefined ? `known are ${inWords(COMMANDS)}` : `did you mean ${near}?`;
    throw new UsageError(`unknown command ${name}; ${hint}${/\./.test(name) ? "; a file goes behind --config" : ""}`);
  }
  if (command === "diagnose") {
    if (file !== "bpf" || rest.length > 0) throw new UsageError("diagnose needs what to look at: mermin diagnose bpf");
    return { command };
  }
  const unexpected = command === "validate" ? rest[0] : file;
  if (unexpected !== undefined) throw new UsageError(`${command} does not take "${unexpected}"`);
  return { command, file };
}

function instanceName(name: string): string {
  if (/^[a-z0-9-]{1,32}$/.test(name)) return name;
  throw new UsageError(`"${name}" cannot name an instance; use 1 to 32 small letters, digits and hyphens`);
}

function attachMode(written: string): AttachMode {
  const mode = ATTACH_MODES.find((known) => known === written);
  if (mode !== undefined) return mode;
  throw new UsageError(`MERMIN_ATTACH: "${written}" is no kind of hook; write ${inWords(ATTACH_MODES, "or")}`);
}

/** What `--help` prints. */
export const HELP = `Mermin watches the network traffic of this host and makes a record of every flow.

Usage: mermin [flags]                  watch; needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON
       mermin validate FILE            check a configuration and do nothing else
       mermin diagnose bpf [flags]     find out by trying what works on this host, and what to do where it does not
       mermin cleanup [--instance N]   remove what agents that no longer run left in the kernel
       mermin permissions [flags]      show the Deno permissions that the configuration needs

Flags:
  -c, --config FILE        configuration in HCL, YAML or JSON; also MERMIN_CONFIG_PATH
      --interface PATTERN  interface to watch: a name, a glob such as "eth*", or a /regex/; may be repeated
      --log-level LEVEL    trace, debug, info, warn or error; also MERMIN_LOG_LEVEL
      --auto-reload        apply a changed configuration at once; also MERMIN_CONFIG_AUTO_RELOAD
      --instance NAME      tells several agents on one host apart (default: default); also MERMIN_INSTANCE
      --pattern P..., --skip P..., --json
                           of diagnose bpf: interfaces to try (else the configuration's) and to leave alone, and JSON
                           instead of text
  -h, --help               show this text
  -V, --version            show the version

Without a configuration every flow is printed as one line. Flags win over variables, these over the file.

Examples:
  mermin                                 print the flows of all interfaces but the loopback
  mermin --interface 'eth*'              print the flows of the interfaces whose names begin with eth
  mermin --config mermin.hcl             do what the file says
  mermin validate mermin.hcl             say what is wrong with the file
  mermin diagnose bpf --pattern 'eth*'   attach to these for a moment and say what went wrong

Exit codes: 0 done, 1 failed while running, 2 wrong configuration or usage.
`;
