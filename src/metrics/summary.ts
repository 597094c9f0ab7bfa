import { ANY, categoryOf, type MetricCategory, type MetricName, METRICS, type MetricSpec } from "./table.ts";

/** One metric as `/metrics:summary` tells of it. */
export interface MetricSummary {
  name: string;
  type: MetricSpec["type"];
  help: string;
  /** Each label with its values; `[]` when these come from outside, such as the names of interfaces. */
  labels: Record<string, readonly string[]>;
  category: MetricCategory;
  /** Whether the pages of this agent show it. */
  enabled: boolean;
}

/** Every metric that there is; `hasDebug` tells whether those of category `debug` are shown. */
export function summarize(hasDebug: boolean): MetricSummary[] {
  return (Object.keys(METRICS) as MetricName[]).map((name) => {
    const { type, help, labels }: MetricSpec = METRICS[name];
    const category = categoryOf(name);
    return {
      name,
      type,
      help,
      labels: Object.fromEntries(
        Object.entries(labels).map(([label, values]) => [label, values === ANY ? [] : values]),
      ),
      category,
      enabled: hasDebug || category === "standard",
    };
  });
}
