import { deepEqual } from "node:assert/strict";
import { FakeClock, FakeLogger } from "../testing.ts";
import { ExportLog } from "./export_log.ts";

function setUp() {
  const clock = new FakeClock();
  const logger = new FakeLogger();
  return { clock, logger, log: new ExportLog(logger, "http://collector:4317", clock) };
}

Deno.test("ExportLog says once that requests fail, and once that they work again", () => {
  const { log, logger } = setUp();
  log.delivered(0, "");
  for (let i = 0; i < 5; i++) log.failing("network", "connection refused");
  log.delivered(0, "");
  log.delivered(0, "");
  log.failing("http_503", "");
  deepEqual(logger.lines, ["error export_failing", "info export_recovered", "error export_failing"]);
});

Deno.test("ExportLog says at once that requests fail for another reason, and the same once a minute", async () => {
  const { log, logger, clock } = setUp();
  for (let i = 0; i < 3; i++) log.failing("network", "connection refused");
  await clock.advance(60_000);
  log.failing("network", "connection refused");
  log.failing("tls", "not trusted");
  deepEqual(logger.fields.map((fields) => [fields.code, fields.requests]), [["network", 1], ["network", 3], [
    "tls",
    1,
  ]]);
});

Deno.test("ExportLog takes a refusal for an answer", () => {
  const { log, logger } = setUp();
  log.failing("network", "");
  log.refused("http_400", "bad data", 10);
  deepEqual(logger.lines, ["error export_failing", "info export_recovered", "error export_refused"]);
});

Deno.test("ExportLog repeats a loss once a minute with all its spans, and another one at once", async () => {
  const { log, logger, clock } = setUp();
  for (let i = 0; i < 10; i++) log.refused("http_400", "bad data", 10);
  await clock.advance(60_000);
  log.refused("http_400", "bad data", 10);
  log.refused("http_401", "who are you?", 7);
  deepEqual(logger.fields.map((fields) => [fields.code, fields.spans]), [
    ["http_400", 10],
    ["http_400", 100],
    ["http_401", 7],
  ]);
});

Deno.test("ExportLog keeps the kinds of loss apart", () => {
  const { log, logger } = setUp();
  for (let i = 0; i < 3; i++) {
    log.queueFull(512);
    log.delivered(2, "too long");
  }
  log.stopped(0);
  log.stopped(9);
  deepEqual(logger.lines, ["warn export_queue_full", "warn export_rejected", "warn export_incomplete"]);
});
