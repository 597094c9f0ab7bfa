import { type ConfigDocument, EMPTY, type Node } from "./document.ts";
import { byPosition, ConfigError, formatPosition, formatProblem, type Problem } from "./errors.ts";
import { formatOf } from "./front_end.ts";
import { newFindings, Reading } from "./reading.ts";
import type { Setting } from "./setting.ts";

/** Flags of the command line that set something: a text, several, or `true` for one that takes no value. */
export type Flags = Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

/** Where a configuration comes from; later ones win: defaults, file, variables, flags. */
export interface ConfigSources {
  /** Path of the file; without one `MERMIN_CONFIG_PATH` is asked, and then there is no file. */
  readonly path?: string;
  /** Reads a text file. @throws {Error} when it cannot */
  readFile(path: string): string;
  /** Parses HCL, YAML or JSON, as the name says. @throws {ConfigError} with every problem of the syntax */
  parse(source: string, fileName: string): ConfigDocument;
  /** An environment variable. */
  env(name: string): string | undefined;
  readonly flags: Flags;
}

/** A configuration that was read without a mistake. */
export interface Loaded<T> {
  readonly value: T;
  /** Path of the file that was read. */
  readonly path?: string;
  /** What should be looked at but does not hinder, such as a variable that is not set. */
  readonly warnings: readonly string[];
  /** Settings that were given but have no effect yet, one sentence each. */
  readonly notYet: readonly string[];
}

/**
 * Reads and checks a whole configuration.
 *
 * @throws {ConfigError} with everything that is wrong with it, in the order of the file
 */
export function load<T>(settings: Setting<T>, sources: ConfigSources): Loaded<T> {
  const path = sources.path ?? (sources.env("MERMIN_CONFIG_PATH") || undefined);
  const document = path === undefined ? { root: EMPTY, unset: [] } : readDocument(path, sources);
  const findings = newFindings(overrides(settings, sources), formatOf(path ?? ""));
  const value = settings.read(document.root, new Reading("", findings));
  if (findings.problems.length > 0) {
    const problems = findings.problems.toSorted(byPosition);
    throw new ConfigError(
      problems.map((problem) => formatProblem(problem, path ?? "") + unsetHint(problem, document.unset)),
    );
  }
  const warnings = document.unset.map((unset) =>
    `${
      formatPosition(unset, path ?? "")
    }: the variable ${unset.variable} is not set and has no default; it counts as ""`
  );
  return { value, path, warnings, notYet: findings.notYet };
}

/** Names the variable that left the value of a problem empty. */
function unsetHint(problem: Problem, unset: ConfigDocument["unset"]): string {
  if (problem.origin !== undefined) return "";
  const inIt = unset.filter(({ line, column }) => line === problem.line && column >= problem.column);
  return inIt.map(({ variable }) => ` (the variable ${variable} is not set)`).join("");
}

function readDocument(path: string, sources: ConfigSources): ConfigDocument {
  let source: string;
  try {
    source = sources.readFile(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError([`Cannot read "${path}": ${why}; check --config and MERMIN_CONFIG_PATH`]);
  }
  return sources.parse(source, path);
}

/** The values that variables and flags give, by the path of their setting. */
function overrides(settings: Setting<unknown>, sources: ConfigSources): Map<string, Node> {
  const found = new Map<string, Node>();
  for (const [path, setting] of walk(settings)) {
    const variable = setting.env === undefined ? undefined : sources.env(setting.env);
    const flag = setting.flag === undefined ? undefined : sources.flags[setting.flag];
    if (flag !== undefined) found.set(path, nodeOf(flag, `--${setting.flag}`));
    else if (variable) found.set(path, nodeOf(variable, setting.env!));
  }
  return found;
}

/** All settings of a table with their paths, groups before what is in them. */
export function* walk(setting: Setting<unknown>, path = ""): Generator<[path: string, setting: Setting<unknown>]> {
  if (path !== "") yield [path, setting];
  for (const [name, field] of Object.entries(setting.fields ?? {})) {
    yield* walk(field, path === "" ? name : `${path}.${name}`);
  }
}

function nodeOf(value: string | readonly string[] | boolean, origin: string): Node {
  const position = { line: 0, column: 0, origin };
  if (typeof value === "boolean") return { type: "bool", value, ...position };
  if (typeof value === "string") return { type: "string", value, computed: true, ...position };
  return { type: "list", items: value.map((item) => nodeOf(item, origin)), ...position };
}
