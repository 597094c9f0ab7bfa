/** A flow as one line of a table for people. */

import { ABSENT, type FlowSpan, SpanKind, type U64 } from "../../flow/span.ts";
import { BOLD, DIM, type FlowFormatter, RESET } from "./formatter.ts";

interface Column {
  readonly title: string;
  readonly align: "left" | "right";
  /** Room for what is usual; a longer text widens the column from then on. */
  readonly minWidth: number;
  readonly text: (span: FlowSpan) => string;
}

/** A column that grows by single characters would move again with nearly every IPv6 address. */
const WIDTH_STEP = 8;
const GAP = "  ";
/** From who began the flow to the other end. */
export const ARROWS = { forward: "→", reverse: "←", unknown: "↔" } as const;
/** For people. */
export const KINDS = {
  [SpanKind.CLIENT]: "client",
  [SpanKind.SERVER]: "server",
  [SpanKind.INTERNAL]: "internal",
} as const;
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const MAX_IPV4_ENDPOINT = "255.255.255.255:65535".length;

/** The counters are those of the window; the arrow points from who began the flow to the other end. */
const COLUMNS: readonly Column[] = [
  { title: "TIME (UTC)", align: "left", minWidth: 12, text: (span) => clockTime(span.endNs) },
  { title: "PROTO", align: "left", minWidth: 6, text: (span) => span.transport },
  { title: "SOURCE", align: "left", minWidth: MAX_IPV4_ENDPOINT, text: source },
  { title: "", align: "left", minWidth: 1, text: (span) => ARROWS[span.direction] },
  { title: "DESTINATION", align: "left", minWidth: MAX_IPV4_ENDPOINT, text: destination },
  { title: "INTERFACE", align: "left", minWidth: 9, text: interfaces },
  { title: "PKTS", align: "right", minWidth: 6, text: (span) => String(span.packetsDelta) },
  { title: "BYTES", align: "right", minWidth: 8, text: (span) => formatBytes(span.bytesDelta) },
  { title: "PKTS BACK", align: "right", minWidth: 9, text: (span) => String(span.reversePacketsDelta) },
  { title: "BYTES BACK", align: "right", minWidth: 10, text: (span) => formatBytes(span.reverseBytesDelta) },
  { title: "LASTED", align: "right", minWidth: 6, text: (span) => formatDuration(ms(span.endNs) - ms(span.startNs)) },
  { title: "KIND", align: "left", minWidth: 8, text: (span) => KINDS[span.kind] },
  { title: "END", align: "left", minWidth: 0, text: (span) => span.endReason },
];

/** One aligned line per flow. Columns only ever grow, a few characters at once. */
export class TextFormatter implements FlowFormatter {
  readonly #widths = COLUMNS.map((column) => Math.max(column.minWidth, column.title.length));
  readonly #useColors: boolean;

  constructor(useColors: boolean) {
    this.#useColors = useColors;
  }

  get width(): number {
    return this.#widths.reduce((sum, width) => sum + width, 0);
  }

  header(): string {
    return this.#line(COLUMNS.map((column) => column.title), BOLD, COLUMNS.length);
  }

  flow(span: FlowSpan): string {
    return this.#line(COLUMNS.map((column) => column.text(span)), DIM, 1);
  }

  /** The first `styled` cells are written in `style`. */
  #line(texts: readonly string[], style: string, styled: number): string {
    const cells = texts.map((text, i) => {
      if (i === COLUMNS.length - 1) return text;
      if (text.length > this.#widths[i]) this.#widths[i] = Math.ceil(text.length / WIDTH_STEP) * WIDTH_STEP;
      const width = this.#widths[i];
      return COLUMNS[i].align === "left" ? text.padEnd(width) : text.padStart(width);
    });
    if (this.#useColors) {
      cells[0] = style + cells[0];
      cells[styled - 1] += RESET;
    }
    return cells.join(GAP) + "\n";
  }
}

/** Decimal units (1 kB = 1000 B), with one digit after the point from kB on. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999.95 would be rounded to 1000.0.
  while (value >= (unit === 0 ? 1000 : 999.95)) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[unit].padEnd(2)}`;
}

/** `7ms`, `1.2s`, `3m05s`, `1h02m`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 999.5) return `${Math.round(durationMs)}ms`;
  if (durationMs < 59_950) return `${(durationMs / 1000).toFixed(1)}s`;
  const seconds = Math.round(durationMs / 1000);
  const twoDigits = (value: number) => String(Math.floor(value)).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${twoDigits(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h${twoDigits((seconds % 3600) / 60)}m`;
}

/** `10.0.0.1:443`, `[fd00::1]:443`, or the address alone for a protocol without ports. */
export function formatEndpoint(address: string, port: number): string {
  if (port === ABSENT) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function source(span: FlowSpan): string {
  return formatEndpoint(span.sourceAddress, span.sourcePort);
}

function destination(span: FlowSpan): string {
  return formatEndpoint(span.destinationAddress, span.destinationPort);
}

/** The kernel lets an interface have control characters in its name; a terminal must not get them. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}

function interfaces(span: FlowSpan): string {
  const { interfaceName, reverseInterfaceName } = span;
  const names = reverseInterfaceName === "" ? interfaceName : `${interfaceName}/${reverseInterfaceName}`;
  return printable(names);
}

/** Time of day in UTC, to the millisecond. */
export function clockTime(time: U64): string {
  return new Date(ms(time)).toISOString().slice("2026-11-23T".length, -"Z".length);
}

/** Milliseconds; a double holds times of this age to about a quarter of a microsecond. */
function ms(time: U64): number {
  return (time.hi * 2 ** 32 + time.lo) / 1e6;
}
