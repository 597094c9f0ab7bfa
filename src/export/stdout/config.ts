import { choice, group, type ValueOf } from "../../config/mod.ts";

/** `export "traces" { stdout }`: records as text; the format may stand in place of the block. */
export const stdoutSettings = group("Writes each record to standard output.", {
  format: choice(
    ["text", "text_indent", "json", "json_indent"],
    "text",
    "One aligned line for each record, or all of its attributes on lines of their own.",
    { notYet: ["text_indent", "json", "json_indent"] },
  ),
}, { shorthand: "format" });

export type StdoutConfig = ValueOf<typeof stdoutSettings>;
