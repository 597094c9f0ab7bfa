/** The kinds of values that settings have. Each takes the default and the sentence that documents the setting. */

import type { Node } from "./document.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { inWords } from "./errors.ts";
import { nearest } from "./nearest.ts";
import type { Reading } from "./reading.ts";
import type { Setting } from "./setting.ts";

/** Says what is wrong with a value, or nothing. */
export type Check<T> = (value: T) => string | undefined;

/** `true` or `false`. */
export function bool(fallback: boolean, doc: string): Setting<boolean> {
  return {
    type: "true or false",
    doc,
    default: fallback,
    read(node, at) {
      if (node.type === "bool") return node.value as boolean;
      if (isComputedText(node) && /^(true|false|1|0)$/i.test(node.value)) return /^(true|1)$/i.test(node.value);
      at.wrong(node, `not a switch; write true or false${withoutQuotes(node)}`);
      return fallback;
    },
  };
}

/** A whole number of a range. */
export function integer(fallback: number, doc: string, range: { min: number; max: number }): Setting<number> {
  return {
    type: `${range.min} to ${range.max}`,
    doc,
    default: fallback,
    read(node, at) {
      const value = integerOf(node);
      if (value === undefined) {
        at.wrong(node, `not a whole number; write one from ${range.min} to ${range.max}${withoutQuotes(node)}`);
      } else if (value < range.min || value > range.max) {
        at.wrong(node, `out of range; allowed is ${range.min} to ${range.max}`);
      } else return value;
      return fallback;
    },
  };
}

/** Any number. */
export function number(doc: string): Setting<number> {
  return {
    type: "number",
    doc,
    default: 0,
    read(node, at) {
      if (node.type === "number") return node.value as number;
      at.wrong(node, "not a number");
      return 0;
    },
  };
}

/** A TCP or UDP port. */
export function port(fallback: number, doc: string): Setting<number> {
  return integer(fallback, doc, { min: 1, max: 65535 });
}

/** A length of time in milliseconds; up to a week, unless told otherwise, so that every timer can hold it. */
export function duration(
  fallback: string,
  doc: string,
  range: { min?: string; max?: string } = {},
): Setting<number> & { readonly unit: "Ms" } {
  const minMs = parseDuration(range.min ?? "1ms")!;
  const maxMs = parseDuration(range.max ?? "168h")!;
  const fallbackMs = parseDuration(fallback)!;
  return {
    type: "duration",
    unit: "Ms",
    doc,
    default: fallbackMs,
    read(node, at) {
      const ms = node.type === "string" ? parseDuration(node.value as string) : undefined;
      if (ms === undefined) {
        at.wrong(node, `not a duration; write for example "300ms", "5s", "1m30s" or "24h"`);
      } else if (ms < minMs || ms > maxMs) {
        at.wrong(node, `out of range; allowed is "${formatDuration(minMs)}" to "${formatDuration(maxMs)}"`);
      } else return ms;
      return fallbackMs;
    },
  };
}

/** A text; `what` names it in errors. */
export function text(
  fallback: string,
  doc: string,
  options: { what?: string; check?: Check<string> } = {},
): Setting<string> {
  const what = options.what ?? "text";
  return {
    type: what,
    doc,
    default: fallback,
    read(node, at) {
      if (node.type !== "string") {
        at.wrong(node, `not text; write ${what} in double quotes`);
        return fallback;
      }
      const wrong = options.check?.(node.value as string);
      if (wrong === undefined) return node.value as string;
      at.wrong(node, wrong);
      return fallback;
    },
  };
}

/** A text that never appears in an error, a log or a page. */
export function secret(fallback: string, doc: string, options: { check?: Check<string> } = {}): Setting<string> {
  return { ...text(fallback, doc, options), type: "secret text", secret: true };
}

/** One of a few words, in any case. `synonyms` are other spellings, in lower case; `what` names the type in place of the words. */
export function choice<const V extends string>(
  words: readonly V[],
  fallback: NoInfer<V>,
  doc: string,
  options: { synonyms?: Readonly<Record<string, NoInfer<V>>>; what?: string } = {},
): Setting<V> {
  const quoted = words.map((word) => `"${word}"`);
  return {
    type: options.what ?? inWords(quoted, "or"),
    doc,
    default: fallback,
    read(node, at) {
      const written = node.type === "string" ? (node.value as string).toLowerCase() : "";
      const word = options.synonyms?.[written] ?? words.find((word) => word.toLowerCase() === written);
      if (word !== undefined) return word;
      const near = written === "" ? undefined : nearest(written, words);
      const hint = near === undefined ? "" : ` (did you mean "${near}"?)`;
      at.wrong(node, `not allowed; write ${inWords(quoted, "or")}${hint}`);
      return fallback;
    },
  };
}

/** A list of values of one kind. */
export function list<T>(
  item: Setting<T>,
  fallback: readonly NoInfer<T>[],
  doc: string,
  options: { emptyIsDefault?: boolean } = {},
): Setting<readonly T[]> {
  return {
    type: item.fields ? "list of groups" : `list of ${item.type}`,
    doc,
    default: fallback,
    item,
    read(node, at) {
      if (node.type !== "list") at.wrong(node, `not a list; write it in brackets: [ … ]`);
      else if (node.items.length > 0 || !options.emptyIsDefault) {
        return node.items.map((value, index) => item.read(value, at.item(index)));
      }
      return fallback;
    },
  };
}

/** Names that the user chooses, each with a value of one kind. */
export function map<T>(
  item: Setting<T>,
  doc: string,
  check: Check<string> = () => undefined,
): Setting<Readonly<Record<string, T>>> {
  return {
    type: `names with ${item.type}`,
    doc,
    default: {},
    secret: item.secret,
    read(node, at) {
      if (node.type !== "object") {
        at.wrong(node, `not a map; write it in braces: { name = … }`);
        return {};
      }
      return readMap(item, node.entries, at, check);
    },
  };
}

function readMap<T>(
  item: Setting<T>,
  entries: Extract<Node, { type: "object" }>["entries"],
  at: Reading,
  check: Check<string>,
): Record<string, T> {
  const values = new Map<string, T>();
  for (const { key, value, ...position } of entries) {
    const wrong = key === "" ? undefined : check(key);
    if (wrong !== undefined) at.report(position, at.pathOf(key), wrong);
    if (values.has(key)) at.report(position, at.pathOf(key), "given twice");
    values.set(key, item.read(value, at.field(key)));
  }
  return Object.fromEntries(values);
}

/** A hint for a value that has quotes in the file. */
function withoutQuotes(node: Node): string {
  return node.type === "string" && !node.computed ? ", without quotes" : "";
}

function isComputedText(node: Node): node is Node & { value: string } {
  return node.type === "string" && node.computed === true;
}

/** `env("PORT")` is text, and still a number where one is needed. */
function integerOf(node: Node): number | undefined {
  if (isComputedText(node)) return /^-?\d{1,15}$/.test(node.value) ? Number(node.value) : undefined;
  return node.type === "number" && Number.isSafeInteger(node.value) ? node.value as number : undefined;
}
