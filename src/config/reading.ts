import { type Node, type Position, show } from "./document.ts";
import type { Problem } from "./errors.ts";

/** What one pass over a configuration gathers; shared by all of its `Reading`s. */
export interface Findings {
  readonly problems: Problem[];
  /** Settings without effect, one sentence each. */
  readonly notYet: string[];
  /** Where each setting that was given stands, by its path. */
  readonly positions: Map<string, Node>;
  /** Values from variables and flags, by the path of their setting. */
  readonly overrides: ReadonlyMap<string, Node>;
}

/** Starts a pass. */
export function newFindings(overrides: ReadonlyMap<string, Node> = new Map()): Findings {
  return { problems: [], notYet: [], positions: new Map(), overrides };
}

/** The place in the tree of settings that is being read, and where to report what is wrong there. */
export class Reading {
  constructor(readonly path: string, readonly findings: Findings, private readonly secret = false) {}

  /** The place of a setting in this group. */
  field(name: string, secret = false): Reading {
    return new Reading(this.pathOf(name), this.findings, this.secret || secret);
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
    this.report(node, `${this.path} = ${this.secret ? "(hidden)" : show(node)}`, text);
  }

  /** Reports a problem that is not about one value. */
  report(position: Position, subject: string, text: string): void {
    const { line, column, origin } = position;
    this.findings.problems.push({ line, column, origin, subject, text });
  }
}
