import assert from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);

/** Pages by their path, without what stands in code. */
const pages = new Map(
  ["README.md", ...[...Deno.readDirSync(new URL("docs/", ROOT))].map(({ name }) => `docs/${name}`)]
    .filter((path) => path.endsWith(".md"))
    .map((path) => [path, Deno.readTextFileSync(new URL(path, ROOT)).replace(/^```.*?^```$/gms, "")]),
);

/** What GitHub makes of a heading. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
  );
}

Deno.test("every link between the pages leads somewhere, and every page is linked", () => {
  const reached = new Set<string>();
  for (const [page, text] of pages) {
    for (const [, path, anchor] of text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)) {
      const target = path === "" ? page : new URL(path, new URL(page, ROOT)).pathname.slice(ROOT.pathname.length);
      if (target !== page) reached.add(target);
      assert.ok(Deno.statSync(new URL(target, ROOT)), `${page}: ${path}`);
      if (anchor) assert.ok(anchorsOf(pages.get(target) ?? "").includes(anchor), `${page}: ${path}#${anchor}`);
    }
  }
  const alone = [...pages.keys()].filter((page) => page !== "README.md" && !reached.has(page));
  assert.deepEqual(alone, []);
});
