/** Property: YAML and JSON are read as `JSON.parse` reads JSON, which is YAML too, and as a writer of plain YAML meant it. */

import { deepStrictEqual } from "node:assert/strict";
import type { Node } from "../../src/config/mod.ts";
import { openParser } from "./parser.ts";

type Plain = null | boolean | number | string | Plain[] | { [name: string]: Plain };

/** Makes values from a seed, so that a failure can be repeated. */
class Generator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed % 0x7fffffff || 1;
  }

  group(depth = 0): { [name: string]: Plain } {
    const names = Array.from({ length: 1 + this.#below(4) }, (_, i) => this.#one(["a", "b_c", "é", "x y", "3", "-"]) + i);
    return Object.fromEntries(names.map((name) => [name, this.#value(depth + 1)]));
  }

  #value(depth: number): Plain {
    const kind = this.#below(depth < 5 ? 8 : 5);
    if (kind === 5) return Array.from({ length: this.#below(4) }, () => this.#value(depth + 1));
    if (kind > 5) return this.group(depth);
    const numbers = [0, 1, -1, 65535, 0.1, 1e-7, 1.5e300, -273.15, 9007199254740991];
    return [() => this.#text(), () => this.#text(), () => this.#one(numbers), () => this.#below(2) === 1, () => null][kind]();
  }

  #text(): string {
    const pieces = ["info", "5s", "8080", "true", "null", "~", "- x", "a: b", "#c", "'", '"', "\\", "/", "*", "&a", "é", "😀"];
    const more = ["\n", "\t", "{", "}", "[", ",", "]", "!", "|", ">", "%", "@", "`", "$", "=", "<<", " ", "\u0001", "\u2028"];
    const text = Array.from({ length: this.#below(5) }, () => this.#one([...pieces, ...more])).join("");
    // What would be computed is tested elsewhere.
    return text.replaceAll(/[$%]\{/g, "");
  }

  #below(limit: number): number {
    return (this.#state = this.#state * 48271 % 0x7fffffff) % limit; // Lehmer
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#below(of.length)];
  }
}

function plain(node: Node): Plain {
  switch (node.type) {
    case "object":
      return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value)]));
    case "list":
      return node.items.map(plain);
    case "error":
      throw new Error(node.message);
    default:
      return node.value;
  }
}

/** Block style; texts in double quotes, as JSON writes them. */
function toYaml(value: Plain, indent = ""): string {
  if (Array.isArray(value) && value.length > 0) {
    return value.map((item) => `\n${indent}-${toYaml(item, `${indent}  `)}`).join("");
  }
  if (value !== null && typeof value === "object" && Object.keys(value).length > 0) {
    const line = ([name, item]: [string, Plain]) => `\n${indent}${JSON.stringify(name)}:${toYaml(item, `${indent}  `)}`;
    return Object.entries(value).map(line).join("");
  }
  return ` ${JSON.stringify(value)}`;
}

Deno.test("JSON, JSON as YAML, and YAML in blocks are read as they were meant", () => {
  using parser = openParser();
  for (let seed = 1; seed <= 500; seed++) {
    const value = new Generator(seed * 7919).group();
    const sources: [file: string, source: string][] = [
      ["f.json", JSON.stringify(value)],
      ["f.json", JSON.stringify(value, undefined, "\t")],
      ["f.yaml", JSON.stringify(value)],
      ["f.yaml", JSON.stringify(value, undefined, 2)],
      ["f.yml", toYaml(value)],
    ];
    for (const [file, source] of sources) {
      deepStrictEqual(plain(parser.parse(source, file).root), value, `seed ${seed}, ${file}:\n${source}`);
    }
  }
});
