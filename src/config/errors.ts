import type { Position } from "./document.ts";

/** One thing that is wrong with the configuration. */
export interface Problem extends Position {
  /** The setting and what was found there, such as `span.tcp_timeout = "5x"`; empty for a syntax error. */
  readonly subject: string;
  readonly text: string;
}

/** A configuration that cannot be used; `problems` has one formatted line for each thing that is wrong. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

/** Formats as `FILE:LINE:COLUMN: SETTING = VALUE: TEXT`; a value from a flag or a variable has its name in front. */
export function formatProblem(problem: Problem, fileName: string): string {
  return [formatPosition(problem, fileName), problem.subject, problem.text].filter((part) => part !== "").join(": ");
}

/** `FILE:LINE:COLUMN`, or the flag or variable. */
export function formatPosition(position: Position, fileName: string): string {
  return position.origin ?? `${fileName}:${position.line}:${position.column}`;
}

/** Sorts as the file is read, with flags and variables at the end. */
export function byPosition(a: Position, b: Position): number {
  const last = Number(a.origin !== undefined) - Number(b.origin !== undefined);
  return last || a.line - b.line || a.column - b.column;
}

/** Joins as `a, b and c`. */
export function inWords(items: readonly string[], joint: "and" | "or" = "and"): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} ${joint} ${items.at(-1)}`;
}
