import { type Node, type Position, show } from "./document.ts";
import type { Problem } from "./errors.ts";
import type { Format } from "./front_end.ts";

/** What one pass over a configuration gathers; shared by all of its `Reading`s. */
export interface Findings {
  readonly problems: Problem[];
  /** Settings without effect, one sentence each. */
  readonly notYet: string[];
  /** Where each setting that was given stands, by its path. */
  readonly positions: Map<string, Node>;
  /** Values from variables and flags, by the path of their setting. */
  readonly overrides: ReadonlyMap<string, Node>;
  /** How the file is written; hints differ. */
  readonly format: Format;
}

/** Starts a pass. */
export function newFindings(overrides: ReadonlyMap<string, Node> = new Map(), format: Format = "hcl"): Findings {
  return { problems: [], notYet: [], positions: new Map(), overrides, format };
}

/** The place in the tree of settings that is being read, and where to report what is wrong there. */
export class Reading {
  constructor(readonly path: string, readonly findings: Findings, private readonly secret = false) {}

  /** The place of a setting in this group. */
  field(name: string, secret = false): Reading {
    return new Reading(this.pathOf(name), this.findings, this.secret || secret);
  }

  /** The same place, whose value is not shown. */
  hidden(): Reading {
    return new Reading(this.path, this.findings, true);
  }

  /** The place of an item in this list. */
  item(index: number): Reading {
    return new Reading(`${this.path}[${index}]`, this.findings, this.secret);
  }

  pathOf(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  /** Reports that the value `node` of this setting cannot be used. */
  wrong(node: Node, text: string): void {
    if (node.type === "error") return this.report(node, this.path, node.message);
    const hint = node.type === "null" ? "; to leave it at its default, remove the line" : "";
    this.report(node, `${this.path} = ${this.secret ? "(hidden)" : show(node)}`, text + hint);
  }

  /** Reports a problem of the first of `paths` that was given, else of the first, whose group is `node`. */
  complain(paths: readonly string[], node: Node, text: string, secret = false): void {
    const { positions } = this.findings;
    const path = paths.find((path) => positions.has(path)) ?? paths[0];
    const given = positions.get(path);
    this.report(given ?? node, given && !secret ? `${path} = ${show(given)}` : path, text);
  }

  /** Reports a problem that is not about one value. */
  report(position: Position, subject: string, text: string): void {
    const { line, column, origin } = position;
    this.findings.problems.push({ line, column, origin, subject, text });
  }
}
