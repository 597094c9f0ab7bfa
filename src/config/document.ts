/** A configuration file as a tree in which every value knows where it stands; which settings exist is not known here. */

/** Where a node stands: in the file (counted from 1), or in the flag or variable named by `origin`. */
export interface Position {
  readonly line: number;
  readonly column: number;
  readonly origin?: string;
}

/** A block or an object; `labels` marks one that was made from a block's label and may be given several times. */
export interface ObjectNode extends Position {
  readonly type: "object";
  readonly entries: readonly Entry[];
  readonly labels?: boolean;
}

export interface Entry extends Position {
  readonly key: string;
  readonly value: Node;
}

export interface ListNode extends Position {
  readonly type: "list";
  readonly items: readonly Node[];
}

/** A single value; a `computed` one came from `env()`, a template, a variable or a flag. */
export interface ScalarNode extends Position {
  readonly type: "string" | "number" | "bool" | "null";
  readonly value: string | number | boolean | null;
  readonly computed?: boolean;
}

/** A value that could not be computed, and why. */
export interface ErrorNode extends Position {
  readonly type: "error";
  readonly message: string;
}

export type Node = ObjectNode | ListNode | ScalarNode | ErrorNode;

/** What `mermin_parse_config` gives: the tree, and the variables that are read but not set and have no default. */
export interface ConfigDocument {
  readonly root: ObjectNode;
  readonly unset: readonly (Position & { readonly variable: string })[];
}

/** A group that is not in the file. */
export const EMPTY: ObjectNode = { type: "object", entries: [], line: 1, column: 1 };

const LONGEST_SHOWN = 60;

/** Shows a value as one would write it, on one line, shortened, and without what may be secret in a URL. */
export function show(node: Node): string {
  const text = showWhole(node)
    .replaceAll(/\/\/[^/\s"]*@/g, "//(hidden)@")
    .replaceAll(/(:\/\/[^\s"?#]*[?#])[^\s"]+/g, "$1(hidden)");
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

function showWhole(node: Node): string {
  switch (node.type) {
    case "object":
      return node.entries.length === 0 ? "{}" : "{ … }";
    case "list":
      return `[${node.items.map(showWhole).join(", ")}]`;
    case "error":
      return "?";
    default:
      return JSON.stringify(node.value);
  }
}
