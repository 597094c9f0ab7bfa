import { choice, group, optional, type ValueOf } from "../config/mod.ts";
import { otlpSettings } from "../export/otlp/config.ts";
import { stdoutSettings } from "../export/stdout/config.ts";

/** `internal "traces"`: spans about what the agent itself does. */
export const ownTracesSettings = group(
  "Spans about the agent itself: its start and stop, reloads, and sweeps of the flow table that take longer than a second.",
  {
    span_format: choice(
      ["full", "compact"],
      "full",
      "Whether such a span has its attributes (full), or just name, ids and times (compact).",
    ),
    stdout: optional(stdoutSettings),
    otlp: optional(otlpSettings),
  },
);

export type OwnTracesConfig = ValueOf<typeof ownTracesSettings>;
