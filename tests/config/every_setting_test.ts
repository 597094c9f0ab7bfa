/** Properties of every setting in the table, in every format: a wrong value is refused where it stands, the default is taken. */

import { deepStrictEqual, fail, match, ok, strictEqual } from "node:assert/strict";
import { ConfigError, fieldName, formatDuration, load, type Setting } from "../../src/config/mod.ts";
import { loadConfig, settings } from "../../src/settings.ts";
import { openParser } from "./parser.ts";

type Parse = ReturnType<typeof openParser>["parse"];
/** Neither a value, nor a list of values, nor a group, nor a list of groups. */
const WRONG = "[[]]";

/** A setting, with the settings around it, the outermost first. */
interface Place {
  readonly names: readonly string[];
  readonly settings: readonly Setting<unknown>[];
}

/** Every setting and group, also those in lists of groups. */
function* places(outer: Place = { names: [], settings: [settings] }): Generator<Place> {
  const { fields, item } = outer.settings.at(-1)!;
  for (const [name, field] of Object.entries(fields ?? item?.fields ?? {})) {
    const place = { names: [...outer.names, name], settings: [...outer.settings, field] };
    yield place;
    yield* places(place);
  }
}

const isList = ({ item }: Setting<unknown>) => item?.fields !== undefined;

/** The path in an error. */
function pathOf({ names, settings }: Place): string {
  const own = settings.at(-1)!;
  return names.map((name, i) => i < names.length - 1 && isList(settings[i + 1]) ? `${name}[0]` : name).join(".") +
    (own.item ? "[0]" : "");
}

/** A file with nothing but the wrong value: its text, and where that begins. */
interface Written {
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

/** Lines that open each group, the one with the value, and lines that close the groups; the value stands at the end of its line. */
function write(open: string[], last: string, close: string[]): Written {
  const text = [...open, last + WRONG, ...close].join("\n") + "\n";
  return { text, line: open.length + 1, column: last.length + 1 };
}

const FORMATS: Record<string, (place: Place) => Written> = {
  "config.hcl"({ names, settings }) {
    const open: string[] = [];
    const close: string[] = [];
    let isInObject = false;
    for (let i = 0; i < names.length - 1; i++) {
      const labels: string[] = [];
      const block = names[i];
      while (!isInObject && settings[i + 1].labels && i < names.length - 2) labels.push(` "${names[++i]}"`);
      const isListed = isList(settings[i + 1]);
      open.push(isListed ? `${block} = [{` : isInObject ? `${block} = {` : `${block}${labels.join("")} {`);
      close.unshift(isListed ? "}]" : "}");
      isInObject ||= isListed;
    }
    return write(open, `${names.at(-1)} = `, close);
  },
  "config.yaml"({ names, settings }) {
    let indent = "";
    const open = names.slice(0, -1).map((name, i) => {
      const line = `${indent}${name}:`;
      indent = indent.replaceAll("-", " ") + (isList(settings[i + 1]) ? "  - " : "  ");
      return line;
    });
    return write(open, `${indent}${names.at(-1)}: `, []);
  },
  "config.json"({ names, settings }) {
    const outer = names.slice(0, -1);
    const open = outer.map((name, i) => `"${name}": ${isList(settings[i + 1]) ? "[{" : "{"}`);
    const close = outer.map((_, i) => isList(settings[i + 1]) ? "}]" : "}").reverse();
    return write(["{", ...open], `"${names.at(-1)}": `, [...close, "}"]);
  },
};

function problemsOf(path: string, source: string, parse: Parse): readonly string[] {
  try {
    loadConfig({ path, readFile: () => source, parse, env: () => undefined, flags: {} });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  fail(`this can be used:\n${source}`);
}

for (const [file, format] of Object.entries(FORMATS)) {
  Deno.test(`a wrong value of any setting is refused where it stands: ${file}`, () => {
    using parser = openParser();
    let count = 0;
    for (const place of places()) {
      const { text, line, column } = format(place);
      const own = place.settings.at(-1)!;
      // Of a list its first item is wrong.
      const at = own.item || own.repeats ? column + 1 : column;
      const head = `${file}:${line}:${at}: ${pathOf(place)} = `;
      const problems = problemsOf(file, text, parser.parse).filter((problem) => !problem.endsWith(": is missing"));
      strictEqual(problems.length, 1, `${text}${problems.join("\n")}`);
      const [problem] = problems;
      strictEqual(problem.slice(0, head.length), head, text);
      // A group that holds a secret may be given as that.
      const isSecret = [...place.settings, ...Object.values(own.fields ?? {})].some(({ secret }) => secret);
      match(problem.slice(head.length), isSecret ? /^\(hidden\): not .*; write / : /^\[.*\]: not .*; write /);
      count++;
    }
    ok(count > 250, `${count} settings`);
  });
}

/** A default as one writes it, in all three formats alike. */
function written({ default: value, unit }: Setting<unknown>): string {
  return JSON.stringify(unit === "Ms" ? formatDuration(value as number) : value);
}

/** What `file` says at `place`. */
function valueAt({ names, settings }: Place, file: unknown): unknown {
  return names.reduce((group, name, i) => (group as Record<string, unknown>)[fieldName(name, settings[i + 1])], file);
}

for (const [path, format] of Object.entries(FORMATS)) {
  Deno.test(`the default of any setting can be written out, and changes nothing: ${path}`, () => {
    using parser = openParser();
    let count = 0;
    for (const place of places()) {
      const own = place.settings.at(-1)!;
      const isInList = place.settings.some((setting) => isList(setting) || setting.repeats);
      // Of those that must be given there is no default.
      if (own.fields || isInList || own.required) continue;
      const text = format(place).text.replace(WRONG, written(own));
      const sources = { path, readFile: () => text, parse: parser.parse, env: () => undefined, flags: {} };
      const { value, notYet } = load(settings, sources);
      deepStrictEqual(valueAt(place, value), own.default, text);
      deepStrictEqual(notYet, [], text);
      count++;
    }
    ok(count > 100, `${count} settings`);
  });
}
