import { choice, group, type ValueOf } from "../../config/mod.ts";

/** `export "traces" { stdout }`: records as text; the format may stand in place of the block. */
export const stdoutSettings = group("Writes each record to standard output.", {
  format: choice(
    ["text", "text_indent", "json", "json_indent"],
    "text",
    "One aligned line for each record (text), all of its attributes below each other (text_indent), one object in a line " +
      "(json) or over many lines (json_indent).",
  ),
}, { shorthand: "format" });

export type StdoutConfig = ValueOf<typeof stdoutSettings>;
