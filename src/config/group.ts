import { EMPTY, type Entry, type Node, type ObjectNode } from "./document.ts";
import { inWords } from "./errors.ts";
import { nearest } from "./nearest.ts";
import type { Reading } from "./reading.ts";
import { fieldName, type Fields, type GroupValue, type Setting } from "./setting.ts";

/** Reports that settings of a group do not fit together; the first of `names` that was given is where. */
export type Complain = (names: readonly string[], text: string) => void;

export interface GroupOptions<F extends Fields> {
  /** Checks settings against each other; called when each of them is right. */
  readonly check?: (value: GroupValue<F>, complain: Complain) => void;
  /** The setting that is meant when a single value stands in place of the group. */
  readonly shorthand?: keyof F & string;
  /** Whether the names are the labels of blocks, as in `export "traces" { }`. */
  readonly labels?: boolean;
}

/** A group of settings: a block or an object. */
export function group<const F extends Fields>(
  doc: string,
  fields: F,
  options: GroupOptions<F> = {},
): Setting<GroupValue<F>> & { readonly fields: F } {
  return {
    type: "group",
    doc,
    fields,
    labels: options.labels,
    default: defaultOf(fields),
    read: (node, at) => readGroup(fields, options, node, at),
  };
}

/** A group whose names are the labels of its blocks, as in `export "traces" { }`. */
export function labelled<const F extends Fields>(doc: string, fields: F): Setting<GroupValue<F>> & { fields: F } {
  return group(doc, fields, { labels: true });
}

/** A group that is `undefined` unless the file has it. */
export function optional<T>(setting: Setting<T>): Setting<T | undefined> {
  return { ...setting, default: undefined, optional: true, empty: setting.default };
}

/** A group that is `fallback` unless the file has it; one that the file has takes nothing over from that. */
export function replacing<T>(fallback: T, setting: Setting<T>): Setting<T> {
  return { ...setting, default: fallback, optional: true, empty: setting.default };
}

/** A block that may be repeated, or a list of objects. */
export function blocks<T>(setting: Setting<T>): Setting<readonly T[]> {
  return {
    type: "list of groups",
    doc: setting.doc,
    fields: setting.fields,
    default: [],
    optional: true,
    repeats: true,
    read(node, at) {
      const items = node.type === "list" ? node.items : [node];
      return items.map((item, index) => setting.read(item, items.length === 1 ? at : at.item(index)));
    },
  };
}

function defaultOf<F extends Fields>(fields: F): GroupValue<F> {
  const defaults = Object.entries(fields).map(([name, setting]) => [fieldName(name, setting), setting.default]);
  return Object.fromEntries(defaults);
}

function readGroup<F extends Fields>(fields: F, options: GroupOptions<F>, node: Node, at: Reading): GroupValue<F> {
  const { problems, positions } = at.findings;
  const before = problems.length;
  const object = asObject(fields, node, options.shorthand, at);
  if (!object) return defaultOf(fields);
  const given = collect(fields, object, at, options.labels === true);
  const value: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(fields)) {
    const found = at.findings.overrides.get(at.pathOf(name)) ?? given.get(name);
    if (found) positions.set(at.pathOf(name), found);
    else if (setting.required) at.report(node, at.pathOf(name), "is missing");
    value[fieldName(name, setting)] = readField(setting, found, at.field(name, setting.secret));
  }
  if (problems.length === before) {
    options.check?.(value as GroupValue<F>, (names, text) => {
      const name = names.find((name) => positions.has(at.pathOf(name))) ?? names[0];
      at.complain([at.pathOf(name)], node, text, fields[name]?.secret);
    });
  }
  return value as GroupValue<F>;
}

function readField(setting: Setting<unknown>, found: Node | undefined, at: Reading): unknown {
  // A group that is not in the file is still read: a flag may set something in it.
  const node = found ?? (setting.fields && !setting.optional ? EMPTY : undefined);
  if (!node) return setting.default;
  const value = setting.read(node, at);
  if (found && setting.unused !== undefined && !isDefault(setting, value)) {
    at.findings.notYet.push(`${at.path} is set, but ${setting.unused}`);
  }
  return value;
}

/** Whether a value changes nothing; so does an empty block of an optional group. */
function isDefault(setting: Setting<unknown>, value: unknown): boolean {
  return [setting.default, setting.empty].some((other) => JSON.stringify(other) === JSON.stringify(value));
}

function asObject(fields: Fields, node: Node, shorthand: string | undefined, at: Reading): ObjectNode | undefined {
  if (node.type === "object") return node;
  if (shorthand !== undefined && node.type !== "list" && node.type !== "error") {
    const { line, column, origin } = node;
    return { type: "object", line, column, origin, entries: [{ key: shorthand, value: node, line, column, origin }] };
  }
  const name = at.path.endsWith("]") ? "" : `${at.path.split(".").at(-1)} `;
  // What stands in place of the group may be meant for the secret in it.
  const holdsSecret = Object.values(fields).some(({ secret }) => secret);
  (holdsSecret ? at.hidden() : at).wrong(node, `not a group of settings; write ${name}{ … }`);
  return undefined;
}

/** The values of a group by name: unknown and repeated names are reported, blocks with other labels are joined. */
function collect(fields: Fields, node: ObjectNode, at: Reading, labels: boolean): Map<string, Node> {
  const given = new Map<string, Node>();
  for (const entry of node.entries) {
    const known = Object.hasOwn(fields, entry.key) ? fields[entry.key] : undefined;
    const earlier = given.get(entry.key);
    if (entry.key === "" && entry.value.type === "error") at.wrong(entry.value, "");
    else if (!known) reportUnknown(Object.keys(fields), entry, node.labels === true, labels, at);
    else if (!earlier) given.set(entry.key, entry.value);
    else if (known.repeats) given.set(entry.key, joinBlocks(earlier, entry.value));
    else if (isLabels(earlier) && isLabels(entry.value)) {
      given.set(entry.key, { ...earlier, entries: [...earlier.entries, ...entry.value.entries] });
    } else at.report(entry, at.pathOf(entry.key), `given twice; the first is in line ${earlier.line}`);
  }
  return given;
}

function isLabels(node: Node): node is ObjectNode {
  return node.type === "object" && node.labels === true;
}

function joinBlocks(earlier: Node, next: Node): Node {
  const items = (node: Node) => node.type === "list" ? node.items : [node];
  return { ...earlier, type: "list", items: [...items(earlier), ...items(next)] };
}

/** `labelled`: the name was written as a label; `labels`: the group wants it to be one. Only HCL has labels. */
function reportUnknown(known: string[], entry: Entry, labelled: boolean, labels: boolean, at: Reading): void {
  const [block, ...outer] = at.path.split(".");
  const before = [block, ...outer.map((label) => `"${label}"`)].join(" ");
  const near = nearest(entry.key, known);
  const asLabel = labels && at.findings.format === "hcl";
  const write = (name: string) => asLabel ? `${before} "${name}" { … }` : name;
  let hint = `known here: ${inWords(known.map(write))}`;
  if (near !== undefined) hint = `did you mean ${asLabel ? write(near) : `"${near}"`}?`;
  else if (labelled && !labels) hint = `${before} { … } has no label`;
  at.report(entry, at.pathOf(entry.key), `unknown ${labelled ? "label" : "setting"}; ${hint}`);
}
