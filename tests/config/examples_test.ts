/** Every example in README.md and docs/ is a configuration that can be used. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { loadConfig } from "../../src/settings.ts";
import { openParser } from "./parser.ts";

const ROOT = new URL("../../", import.meta.url);

interface Example {
  readonly page: string;
  readonly line: number;
  readonly format: string;
  readonly text: string;
}

function pages(): string[] {
  const docs = [...Deno.readDirSync(new URL("docs/", ROOT))].map(({ name }) => `docs/${name}`);
  return ["README.md", ...docs.filter((path) => path.endsWith(".md")).sort()];
}

/**
 * Blocks of HCL and YAML, and files that commands write; JSON stands for other things elsewhere than in docs/configuration.md.
 */
function examples(): Example[] {
  return pages().flatMap((page) => {
    const text = Deno.readTextFileSync(new URL(page, ROOT));
    const blocks = text.matchAll(/^```(hcl|yaml|json)\n(.*?)^```$/gms);
    const written = text.matchAll(/^cat >\S+\.(hcl|yaml|json) <<'END'\n(.*?)^END$/gms);
    return [...blocks, ...written]
      .filter(([, format]) => format !== "json" || page === "docs/configuration.md")
      .map(({ index, 1: format, 2: source }) => {
        return { page, line: text.slice(0, index).split("\n").length, format, text: source };
      });
  });
}

function loadExample({ format, text }: Example, { parse }: ReturnType<typeof openParser>) {
  return loadConfig({ path: `example.${format}`, readFile: () => text, parse, env: () => undefined, flags: {} });
}

Deno.test("every example of the documentation can be used", async (t) => {
  using parser = openParser();
  const all = examples();
  ok(all.length >= 12, "the examples are missing");
  for (const example of all) {
    await t.step(`${example.page}:${example.line}`, () => {
      deepStrictEqual(loadExample(example, parser).warnings, []);
    });
  }
});

Deno.test("the examples of the reference page are the same in each format", () => {
  using parser = openParser();
  const [hcl, ...others] = examples().filter(({ page }) => page === "docs/configuration.md");
  deepStrictEqual([hcl, ...others].map(({ format }) => format), ["hcl", "yaml", "json"]);
  const { config } = loadExample(hcl, parser);
  strictEqual(config.export.otlp?.endpoint, "http://localhost:4317");
  for (const other of others) deepStrictEqual(loadExample(other, parser).config, config);
});
