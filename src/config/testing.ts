import type { ConfigDocument, Node, ObjectNode } from "./document.ts";
import { type ConfigSources, load, type Loaded } from "./load.ts";
import type { Setting } from "./setting.ts";

export type Plain = null | boolean | number | string | Plain[] | { [name: string]: Plain };

/** The node of a plain value; everything stands in line 1, column 1. */
export function node(value: Plain): Node {
  const position = { line: 1, column: 1 };
  if (value === null) return { type: "null", value, ...position };
  if (typeof value === "boolean") return { type: "bool", value, ...position };
  if (typeof value === "number") return { type: "number", value, ...position };
  if (typeof value === "string") return { type: "string", value, ...position };
  if (Array.isArray(value)) return { type: "list", items: value.map(node), ...position };
  const entries = Object.entries(value).map(([key, item]) => ({ key, value: node(item), ...position }));
  return { type: "object", entries, ...position };
}

/** A file with this content. */
export function document(value: { [name: string]: Plain }): ConfigDocument {
  return { root: node(value) as ObjectNode, unset: [] };
}

/** Sources without a file, variables or flags. */
export function sources(some: Partial<ConfigSources> = {}): ConfigSources {
  return { readFile: () => "", parse: () => document({}), env: () => undefined, flags: {}, ...some };
}

/** Loads a file `f` with this content. @throws {ConfigError} with everything that is wrong with it */
export function loadPlain<T>(settings: Setting<T>, value: { [name: string]: Plain }): Loaded<T> {
  return load(settings, sources({ path: "f", parse: () => document(value) }));
}
