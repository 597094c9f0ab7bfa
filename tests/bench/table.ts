/** Tables of figures. */

/** One line: the column's heading and the figure as text. */
export type Row = Record<string, string>;

/** Aligns the figures to the right below the headings of the first row, as Markdown. */
export function formatTable(rows: Row[]): string {
  const headings = Object.keys(rows[0] ?? {});
  const widths = headings.map((heading) => Math.max(heading.length, ...rows.map((row) => row[heading].length)));
  const line = (cells: string[]) => `| ${cells.map((cell, i) => cell.padStart(widths[i])).join(" | ")} |`;
  const rule = line(widths.map((width) => "-".repeat(width - 1) + ":"));
  return [line(headings), rule, ...rows.map((row) => line(headings.map((heading) => row[heading])))].join("\n");
}
