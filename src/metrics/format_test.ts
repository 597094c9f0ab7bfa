import assert from "node:assert/strict";
import { negotiate, OPENMETRICS_TEXT, PROMETHEUS_TEXT } from "./format.ts";

Deno.test("negotiate() gives OpenMetrics to those who ask for it", () => {
  const cases: [string, string][] = [
    ["", PROMETHEUS_TEXT],
    ["*/*", PROMETHEUS_TEXT],
    ["text/plain", PROMETHEUS_TEXT],
    ["text/html,application/xhtml+xml,*/*;q=0.8", PROMETHEUS_TEXT],
    ["application/openmetrics-text", OPENMETRICS_TEXT],
    ["Application/OpenMetrics-Text; version=1.0.0", OPENMETRICS_TEXT],
    ["application/openmetrics-text, */*;q=0.1", OPENMETRICS_TEXT],
    ["application/openmetrics-text;q=0.3, text/plain;q=0.5", PROMETHEUS_TEXT],
    ["application/openmetrics-text;q=0", PROMETHEUS_TEXT],
    ["application/openmetrics-text;q=nonsense", PROMETHEUS_TEXT],
    // As Prometheus 2.42 and 3 ask.
    [
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," +
      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      OPENMETRICS_TEXT,
    ],
    [
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
      "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," +
      "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
      OPENMETRICS_TEXT,
    ],
  ];
  for (const [accept, expected] of cases) assert.equal(negotiate(accept), expected, accept);
});
