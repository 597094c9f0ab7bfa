import assert from "node:assert/strict";
import { disagreements, eventsIn } from "./log_doc.ts";

Deno.test("eventsIn() finds the calls of loggers, on one line or more, with their levels", () => {
  const source = `
    this.#logger.info("started", "ready");
    logger.warn(
      "not_pinned",
      \`text\`,
    );
    options.logger.error("started", "text");
    console.error("nothing");
    this.#warn("no_event");
    const line = { level: "warn", event: "suppressed" };
  `;
  assert.deepEqual(
    eventsIn([source]),
    new Map([
      ["started", new Set(["info", "error"])],
      ["not_pinned", new Set(["warn"])],
      ["suppressed", new Set(["warn"])],
    ]),
  );
});

Deno.test("disagreements() names what one knows and the other does not", () => {
  const levels = new Map([["a", new Set()], ["b", new Set()]]);
  assert.deepEqual(disagreements(levels, { a: "A.", c: "C." }), [
    "the event b is logged; say in src/log_events.ts what it means",
    "the event c of src/log_events.ts is logged nowhere",
  ]);
});
