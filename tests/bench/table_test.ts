import assert from "node:assert/strict";
import { formatTable } from "./table.ts";

Deno.test("formatTable() aligns figures to the right", () => {
  assert.equal(
    formatTable([{ rate: "1", "us/flow": "12.5" }, { rate: "20000", "us/flow": "9.0" }]),
    ["|  rate | us/flow |", "| ----: | ------: |", "|     1 |    12.5 |", "| 20000 |     9.0 |"].join("\n"),
  );
});
