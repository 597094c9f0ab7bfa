/** Property: the front end reads generated HCL as HashiCorp's own parser does, which `@cdktf/hcl2json` carries as WebAssembly. */

// @ts-types="./hcl2json.d.ts"
import { parse as judge } from "@cdktf/hcl2json";
import { deepStrictEqual, ok } from "node:assert/strict";
import type { Node } from "../../src/config/mod.ts";
import { openParser } from "./parser.ts";

type Plain = null | boolean | number | string | Plain[] | { [name: string]: Plain };

/** Blocks are named with this, settings with anything else: `hcl2json` puts the bodies of blocks into lists. */
const BLOCK = "block_";

/** Makes documents from a seed, so that a failure can be repeated. */
class Generator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed % 0x7fffffff || 1;
  }

  document(): string {
    return this.#body(0);
  }

  #below(limit: number): number {
    return (this.#state = this.#state * 48271 % 0x7fffffff) % limit; // Lehmer
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#below(of.length)];
  }

  #many<T>(most: number, make: (index: number) => T): T[] {
    return Array.from({ length: this.#below(most + 1) }, (_, index) => make(index));
  }

  #body(depth: number): string {
    const attributes = this.#many(4, (i) => `${this.#indent(depth)}${this.#name(i)} = ${this.#setting(depth)}`);
    const blocks = depth > 2 ? [] : this.#many(2, () => this.#block(depth));
    return [...attributes, ...blocks].map((line) => this.#comment(depth) + line).join("");
  }

  /** A value and the rest of its line; nothing may stand behind the end of a heredoc. */
  #setting(depth: number): string {
    return this.#below(8) === 0 ? `${this.#heredoc()}\n` : this.#value(depth) + this.#end();
  }

  #block(depth: number): string {
    const labels = this.#many(2, () => this.#one([`"label"`, `"a b/é.c"`, "bare"])).map((label) => ` ${label}`).join("");
    const head = `${this.#indent(depth)}${BLOCK}${this.#one(["x", "y-z"])}_${labels.length}${labels} {`;
    return this.#below(4) === 0 ? `${head}}\n` : `${head}\n${this.#body(depth + 1)}${this.#indent(depth)}}\n`;
  }

  #indent(depth: number): string {
    return this.#one(["", "  ", "\t"]).repeat(depth);
  }

  #name(index: number): string {
    return this.#one(["a", "with_under", "with-dash", "é", "A1"]) + index;
  }

  /** The end of a line with a setting. */
  #end(): string {
    return this.#one(["\n", "  \n", " # it's \"c\" {\n", " // ${x}\n", " /* [ */\n"]);
  }

  #comment(depth: number): string {
    if (this.#below(3) > 0) return "";
    return this.#indent(depth) + this.#one(["\n", "# a = 1\n", "// \"\n", "/* b = {\n * c\n */\n"]);
  }

  #value(depth: number): string {
    const simple = [() => this.#number(), () => this.#string(), () => this.#one(["true", "false", "null"])];
    const rich = [() => this.#list(depth), () => this.#object(depth)];
    return this.#one(depth < 4 ? [...simple, ...simple, ...rich] : simple)();
  }

  #number(): string {
    const digits = String(this.#below(1_000_000));
    const number = this.#one([digits, `0.${digits}`, `${digits}.5`, `${digits}e3`, `${digits}E-2`, "9007199254740991", "0"]);
    return this.#one(["", "", "-"]) + number;
  }

  #string(): string {
    return `"${this.#many(5, () => this.#piece()).join("")}"`;
  }

  #piece(): string {
    return this.#one([
      ...["text", " ", "é😀", "\\n", "\\t", "\\r", '\\"', "\\\\", "\\u00e9", "\\U0001F600", "#", "//", "/*"],
      ...["$ ", "% ", "$$ ", "{", "}", "$${a}", "%%{b}", '${"in"}', '${"a}b"}', "${ true }", "${ 5 }", "<<E", "'"],
    ]);
  }

  #list(depth: number): string {
    const items = this.#many(4, () => this.#flat(depth));
    const separator = this.#one([", ", ",", ",\n  "]);
    const tail = items.length > 0 ? this.#one(["", ",", ",\n"]) : "";
    return `[${this.#one(["", " ", "\n"])}${items.join(separator)}${tail}]`;
  }

  #object(depth: number): string {
    const sign = this.#one([" = ", ": ", "="]);
    const fields = this.#many(4, (i) => `${this.#one([this.#name(i), `"quoted ${i}"`])}${sign}${this.#flat(depth)}`);
    const separator = this.#one([", ", "\n  ", ",\n"]);
    return `{ ${fields.join(separator)} }`;
  }

  /** A value that can stand inside brackets. */
  #flat(depth: number): string {
    return this.#below(4) === 0 && depth < 3 ? this.#one([this.#list(depth + 1), this.#object(depth + 1)]) : this.#value(4);
  }

  /**
   * Never empty, which is refused here where it would hide settings, and without lines of nothing but spaces, which `<<-`
   * treats in another way here.
   */
  #heredoc(): string {
    const line = () => this.#one(["", "  ", "    "]) + this.#one(["text", "a \\n b", '"', "$${x}", "# no"]);
    const lines = [...this.#many(3, () => this.#below(5) === 0 ? "" : line()), "last"];
    return `${this.#one(["<<", "<<-"])}END\n${lines.map((line) => `${line}\n`).join("")}END`;
  }
}

/** Our tree in the judge's shape. */
function plain(node: Node, isBlock = false): Plain {
  switch (node.type) {
    case "object": {
      const result: Record<string, Plain> = {};
      for (const { key, value } of node.entries) {
        const inBlock = key.startsWith(BLOCK) || (isBlock && node.labels === true);
        result[key] = join(result[key], plain(value, inBlock));
      }
      return isBlock && !node.labels ? [result] : result;
    }
    case "list":
      return node.items.map((item) => plain(item));
    case "error":
      throw new Error(node.message);
    default:
      return node.value;
  }
}

/** Blocks of one name: lists of bodies are joined, and labels are put beside each other. */
function join(a: Plain | undefined, b: Plain): Plain {
  if (a === undefined) return b;
  if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
  const both: Record<string, Plain> = { ...a as Record<string, Plain> };
  for (const [name, value] of Object.entries(b as Record<string, Plain>)) both[name] = join(both[name], value);
  return both;
}

/** The judge leaves the escapes of template marks as they are written, and knows -0. */
function unescaped(value: Plain): Plain {
  if (typeof value === "string") return value.replaceAll("$${", "${").replaceAll("%%{", "%{");
  if (value === 0) return 0; // Not -0.
  if (Array.isArray(value)) return value.map(unescaped);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unescaped(item)]));
}

Deno.test("HCL is read as HashiCorp's parser reads it", async () => {
  using parser = openParser();
  let settings = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const source = new Generator(seed * 7919).document();
    const expected = unescaped(await judge("config.hcl", source) as Plain);
    const found = plain(parser.parse(source, "config.hcl").root);
    deepStrictEqual(found, expected, `seed ${seed}:\n${source}`);
    settings += Object.keys(found as Record<string, Plain>).length;
  }
  ok(settings > 500, "the documents are too small");
});
