/**
 * Writes docs/logs.md from src/log_events.ts and the calls in src: `deno run --allow-read=src tools/log_doc.ts`. Fails when
 * one knows an event that the other does not.
 */

import { LOG_EVENTS } from "../src/log_events.ts";
import { typeScriptFiles } from "./boundaries.ts";

/** `suppressed` is written by the log itself; `[level]` is info or warn, by what happened. */
const CALL =
  /\b(?:logger|Logger|warn|log)\??(?:\.(debug|info|warn|error)|\[level\])\(\s*"([a-z0-9_]+)"|(?:event: )"(suppressed)"/g;

const HEAD = `# Log

<!-- Generated from src/log_events.ts and the source by \`deno task generate\`; do not edit. -->

The agent logs to standard error: as text on a terminal and as one JSON object a line elsewhere (\`log_format\`), from
\`log_level\` on. A line has a time, a level, a component, a stable \`event\`, a message for people, and fields that depend on
the event. Of one event and component ten lines are written in ten seconds; the others are counted, and one line
\`suppressed\` tells how many they were. Headers, passwords and tokens are never logged.

\`\`\`
2026-11-23T08:30:00.005Z INFO  interfaces: watching eth0  event=interface_attached interface=eth0 index=2 mode=tcx
{"time":"2026-11-23T08:30:00.005Z","level":"info","component":"interfaces","event":"interface_attached","message":"watching eth0","interface":"eth0","index":2,"mode":"tcx"}
\`\`\`

| event | level | what it says |
| --- | --- | --- |
`;

/** The levels of each event that the sources log. */
export function eventsIn(sources: Iterable<string>): Map<string, Set<string>> {
  const levels = new Map<string, Set<string>>();
  for (const source of sources) {
    for (const [, level, event, suppressed] of source.matchAll(CALL)) {
      const known = levels.get(event ?? suppressed) ?? new Set();
      for (const each of level ? [level] : suppressed ? ["warn"] : ["info", "warn"]) known.add(each);
      levels.set(event ?? suppressed, known);
    }
  }
  return levels;
}

/** What the table and the sources do not agree on; one sentence each. */
export function disagreements(levels: ReadonlyMap<string, unknown>, table = LOG_EVENTS): string[] {
  return [
    ...[...levels.keys()].filter((event) => !(event in table))
      .map((event) => `the event ${event} is logged; say in src/log_events.ts what it means`),
    ...Object.keys(table).filter((event) => !levels.has(event))
      .map((event) => `the event ${event} of src/log_events.ts is logged nowhere`),
  ];
}

if (import.meta.main) {
  const paths = [...typeScriptFiles("src")].filter((path) => !/_test\.ts$|\/testing\.ts$/.test(path));
  const levels = eventsIn(paths.map((path) => Deno.readTextFileSync(path)));
  const wrong = disagreements(levels);
  for (const text of wrong) console.error(text);
  if (wrong.length > 0) Deno.exit(1);
  const rows = Object.entries(LOG_EVENTS).sort(([a], [b]) => a < b ? -1 : 1).map(([event, text]) =>
    `| \`${event}\` | ${[...levels.get(event)!].sort().join(", ")} | ${text} |`
  );
  Deno.stdout.writeSync(new TextEncoder().encode(`${HEAD}${rows.join("\n")}\n`));
}
