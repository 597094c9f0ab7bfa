/** The Collector's configurations in docs/ are ones that the real Collector takes. */

import assert from "node:assert/strict";
import { tryRun } from "../harness/process.ts";

const DOCS = new URL("../../docs/", import.meta.url);

Deno.test("the Collector takes its configurations of the documentation", async () => {
  const pages = [...Deno.readDirSync(DOCS)].filter(({ name }) => name.endsWith(".md"));
  const blocks = pages.flatMap(({ name }) => [
    ...Deno.readTextFileSync(new URL(name, DOCS)).matchAll(/^```yaml collector\n(.*?)^```$/gms),
  ]);
  assert.ok(blocks.length > 0, "the examples are missing");
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    for (const [, text] of blocks) {
      await Deno.writeTextFile(path, text);
      const { code, stderr } = await tryRun(["otelcol", "validate", `--config=${path}`]);
      assert.equal(code, 0, stderr);
      await Deno.writeTextFile(path, text.replace("protocols:", "protocol:"));
      assert.notEqual((await tryRun(["otelcol", "validate", `--config=${path}`])).code, 0, "a mistake is seen");
    }
  } finally {
    await Deno.remove(path);
  }
});
