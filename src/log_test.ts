import assert from "node:assert/strict";
import { Log, type LogOptions, resolveLogFormat } from "./log.ts";

const START_MS = Date.UTC(2026, 10, 23, 8, 30, 0, 5);

/** A log that keeps its lines, with a clock that the test moves. */
function recorded(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const clock = { ms: START_MS };
  const log = new Log({
    level: "debug",
    format: "json",
    write: (line) => lines.push(line),
    now: () => clock.ms,
    ...options,
  });
  return { log, logger: log.logger("export"), lines, clock, parsed: () => lines.map((line) => JSON.parse(line)) };
}

Deno.test("Log writes JSON lines", () => {
  const { logger, lines } = recorded();
  logger.warn("export_failed", "cannot send", { endpoint: "http://localhost:4317", tries: 3, last: false });
  assert.deepEqual(lines, [
    '{"time":"2026-11-23T08:30:00.005Z","level":"warn","component":"export","event":"export_failed",' +
    '"message":"cannot send","endpoint":"http://localhost:4317","tries":3,"last":false}\n',
  ]);
});

Deno.test("Log keeps its own JSON names when fields from outside have one of them", () => {
  const { logger, parsed } = recorded();
  const counts: Record<string, number> = { event: 1, message: 2, level: 3 };
  logger.info("started", "ready", { ...counts });
  assert.deepEqual(parsed()[0], {
    time: "2026-11-23T08:30:00.005Z",
    level: "info",
    component: "export",
    event: "started",
    message: "ready",
  });
});

Deno.test("Log writes text lines", async (t) => {
  const head = "2026-11-23T08:30:00.005Z INFO  export: ";
  const cases = [
    { name: "no fields", text: "ready", fields: {}, line: "ready  event=started" },
    {
      name: "plain values",
      text: "ready",
      fields: { port: 80, tls: true },
      line: "ready  event=started port=80 tls=true",
    },
    { name: "spaces", text: "ready", fields: { why: "no route" }, line: 'ready  event=started why="no route"' },
    { name: "quotes", text: "ready", fields: { why: 'a "b"' }, line: 'ready  event=started why="a \\"b\\""' },
    { name: "empty", text: "ready", fields: { why: "" }, line: 'ready  event=started why=""' },
    { name: "line breaks", text: "a\nb", fields: { why: "c\r\nd" }, line: 'a\\nb  event=started why="c\\r\\nd"' },
    { name: "terminal codes", text: "ready", fields: { why: "\x1b[2J" }, line: "ready  event=started why=\\u001b[2J" },
  ];
  for (const { name, text, fields, line } of cases) {
    await t.step(name, () => {
      const { logger, lines } = recorded({ format: "text" });
      logger.info("started", text, fields as Record<string, string>);
      assert.deepEqual(lines, [`${head}${line}\n`]);
    });
  }
});

Deno.test("Log leaves out lines below its level", () => {
  const expected = { trace: 4, debug: 4, info: 3, warn: 2, error: 1 } as const;
  for (const [level, count] of Object.entries(expected)) {
    const { logger, lines } = recorded({ level: level as LogOptions["level"] });
    logger.debug("a", "a");
    logger.info("b", "b");
    logger.warn("c", "c");
    logger.error("d", "d");
    assert.equal(lines.length, count, level);
  }
});

Deno.test("Log.setLevel() takes effect for the loggers that are there", () => {
  const { log, logger, lines } = recorded({ level: "warn" });
  logger.info("a", "a");
  log.setLevel("debug");
  logger.debug("b", "b");
  log.setLevel("error");
  logger.warn("c", "c");
  assert.deepEqual(lines.map((line) => JSON.parse(line).event), ["b"]);
});

Deno.test("Logger.child() names another component", () => {
  const { log, parsed } = recorded();
  log.logger().child("capture").info("started", "ready");
  log.logger().info("started", "ready");
  assert.deepEqual(parsed().map(({ component }) => component), ["capture", "agent"]);
});

Deno.test("Log holds back an event that repeats, then says how often", () => {
  const { logger, clock, parsed } = recorded();
  for (let i = 0; i < 25; i++, clock.ms += 10) logger.warn("export_failed", "cannot send");
  assert.equal(parsed().length, 10);

  clock.ms = START_MS + 9_999;
  logger.warn("export_failed", "cannot send");
  assert.equal(parsed().length, 10);

  clock.ms = START_MS + 10_000;
  logger.warn("export_failed", "cannot send");
  const [report, line] = parsed().slice(10);
  assert.deepEqual([report.event, report.component, report.suppressed_event, report.count], [
    "suppressed",
    "export",
    "export_failed",
    16,
  ]);
  assert.equal(line.event, "export_failed");
});

Deno.test("Log counts each event and component alone", () => {
  const { log, parsed } = recorded({ linesPerWindow: 1 });
  for (const component of ["export", "capture"]) {
    for (const event of ["first", "second"]) log.logger(component).info(event, "text");
  }
  assert.equal(parsed().length, 4);
});

Deno.test("Log reports what it held back when another event is logged or at flush()", () => {
  const { log, logger, clock, parsed } = recorded({ linesPerWindow: 1 });
  for (let i = 0; i < 3; i++) logger.info("first", "text");
  clock.ms += 10_000;
  logger.info("second", "text");
  assert.deepEqual(parsed().map(({ event }) => event), ["first", "suppressed", "second"]);

  logger.info("second", "text");
  log.flush();
  log.flush();
  assert.deepEqual(parsed().slice(3).map(({ event, count }) => [event, count]), [["suppressed", 1]]);
});

Deno.test("Log does not fall silent when the clock is set back", () => {
  const { logger, clock, lines } = recorded({ linesPerWindow: 1 });
  logger.info("first", "text");
  clock.ms -= 3_600_000;
  logger.info("first", "text");
  assert.equal(lines.length, 2);
});

Deno.test("resolveLogFormat() takes text on a terminal, else JSON, unless told", () => {
  assert.deepEqual(
    [
      resolveLogFormat("auto", true),
      resolveLogFormat("auto", false),
      resolveLogFormat("text", false),
      resolveLogFormat("json", true),
    ],
    ["text", "json", "text", "json"],
  );
});
