/** Which interfaces a list of patterns means. */

/** Tells whether an interface of this name is meant. */
export type NameMatcher = (name: string) => boolean;

/**
 * One matcher for all patterns: names, globs (`*` any characters, `?` exactly one) and regular expressions between
 * slashes. A glob covers the whole name; a regular expression matches anywhere in it unless it has anchors.
 *
 * @throws {SyntaxError} when a regular expression is not one; the configuration has refused such a pattern before.
 */
export function compilePatterns(patterns: readonly string[]): NameMatcher {
  const expressions = patterns.map((pattern) =>
    new RegExp(pattern.startsWith("/") ? pattern.slice(1, -1) : globSource(pattern))
  );
  return (name) => expressions.some((expression) => expression.test(name));
}

/** The interfaces that `patterns` mean, in the order of their index. */
export function selectInterfaces<T extends { readonly index: number; readonly name: string }>(
  existing: readonly T[],
  patterns: readonly string[],
): T[] {
  const matches = compilePatterns(patterns);
  return existing.filter(({ name }) => matches(name)).sort((a, b) => a.index - b.index);
}

/** The warning for a start at which no interface matches: what was looked for, what there is, what to do. */
export function describeNoMatch(patterns: readonly string[], existing: readonly { readonly name: string }[]): string {
  const names = existing.map(({ name }) => name);
  const example = names.find((name) => name !== "lo");
  return `no interface matches ${patterns.join(", ")}; there are ${names.join(", ") || "none at all"}; ` +
    `waiting for one that matches` +
    (example === undefined ? "" : `, or set discovery.instrument.interfaces, for example to ["${example}"]`);
}

function globSource(glob: string): string {
  const source = Array.from(glob, (char) => char === "*" ? ".*" : char === "?" ? "." : RegExp.escape(char)).join("");
  return `^${source}$`;
}
