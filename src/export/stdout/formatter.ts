import type { FlowSpan } from "../../flow/span.ts";

/** Turns spans into text; every line ends with a line break. */
export interface FlowFormatter {
  /** Sum of the widths of all columns: when it changes, the next line stands under no header any more. */
  readonly width: number;
  /** `""` for a format without one. */
  header(): string;
  flow(span: FlowSpan): string;
}

export const BOLD = "\x1b[1m";
export const DIM = "\x1b[2m";
export const RESET = "\x1b[0m";
