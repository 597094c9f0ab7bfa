import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createHistograms } from "../metrics/histograms.ts";
import { Log } from "../log.ts";
import { defaultAttributes } from "./defaults.ts";
import { openCluster } from "./open.ts";
import { kubeconfigIo } from "./testing.ts";

/** Imports that run before the first statement; those of types are left out of the program. */
const IMPORT = /^(?:import|export) (?!type )[^;]*?from "(\.[^"]+)";$/gm;

/** The files of the program that are there without an `import()`. */
function staticFiles(file: URL, found = new Set<string>()): Set<string> {
  if (found.has(file.href)) return found;
  found.add(file.href);
  for (const [, path] of Deno.readTextFileSync(file).matchAll(IMPORT)) staticFiles(new URL(path, file), found);
  return found;
}

Deno.test("without a cluster only what finds one, reads its settings and tells its figures is loaded", () => {
  const here = new URL(".", import.meta.url).href;
  const loaded = [...staticFiles(new URL("../main.ts", import.meta.url))].filter((file) => file.startsWith(here))
    .map((file) => file.slice(here.length)).sort();
  deepStrictEqual(
    loaded,
    [
      ...["api/access.ts", "api/exec_credential.ts", "api/kubeconfig.ts", "open.ts"],
      ...["config.ts", "defaults.ts", "describe/extract.ts", "model/kinds.ts", "model/object.ts"],
      "metrics.ts",
    ].sort(),
  );
});

Deno.test("openCluster() gives nothing without a cluster, and says so in one line", async () => {
  const lines: string[] = [];
  const none = await openCluster({
    informer: {
      ...{ kubeconfigPath: "", informersSyncTimeoutMs: 1, selectors: [], selectorRelations: [] },
      ownerRelations: { maxDepth: 5, includeKinds: [], excludeKinds: [] },
    },
    directions: {
      source: { k8s: defaultAttributes("source") },
      destination: { k8s: defaultAttributes("destination") },
    },
    maxWindowMs: 1,
    logger: new Log({ level: "info", format: "text", write: (line) => void lines.push(line), now: () => 0 })
      .logger("kubernetes"),
    indexSeconds: createHistograms().clusterIndex,
    decoratorSeconds: createHistograms().decoratorOut,
    trim: () => {},
    io: kubeconfigIo(),
  });
  strictEqual(none, undefined);
  strictEqual(lines.length, 1);
});
