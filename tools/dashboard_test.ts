import assert from "node:assert/strict";
import { type MetricName, METRICS } from "../src/metrics/table.ts";

const FILE = new URL("../charts/mermin/dashboards/mermin.json", import.meta.url);

Deno.test("the dashboard asks for metrics, labels and label values that the agent has, with rates of counters only", () => {
  const { panels, templating } = JSON.parse(Deno.readTextFileSync(FILE));
  const queries: string[] = panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
    targets.map(({ expr }) => expr)
  );
  assert.ok(queries.length > 20);
  assert.match(JSON.stringify(templating), /label_values\(mermin_build_info, instance\)/);
  for (const query of queries) {
    const series = [...query.matchAll(/(rate\(|increase\()?\b((?:mermin|process)_\w+)\{([^}]*)\}/g)];
    assert.ok(series.length > 0, query);
    assert.equal(series.length, query.match(/(mermin|process)_/g)!.length, query);
    for (const [, rate, whole, matchers] of series) {
      const name = whole.replace(/_bucket$/, "") as MetricName;
      const spec = METRICS[name];
      assert.ok(spec, `${name} is no metric`);
      assert.equal(whole.endsWith("_bucket"), spec.type === "histogram", query);
      assert.equal(rate !== undefined, spec.type !== "gauge", query);
      const labels: Readonly<Record<string, readonly string[] | string>> = spec.labels;
      for (const [, label, operator, value] of matchers.matchAll(/(\w+)(=~?)"([^"]*)"/g)) {
        if (label === "instance" && operator === "=~") continue;
        assert.ok(labels[label]?.includes(value), `${name} has no ${label}="${value}"`);
      }
      const by = /by \(([^)]*)\)/.exec(query)?.[1].split(", ") ?? [];
      for (const label of by) assert.ok(["le", "instance", ...Object.keys(labels)].includes(label), query);
    }
  }
});
