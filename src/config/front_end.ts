import type { ConfigDocument } from "./document.ts";
import { ConfigError, formatProblem } from "./errors.ts";

/** Formats of a file, in the order of their numbers in the native library. */
const FORMATS = ["hcl", "yaml", "json"] as const;
export type Format = typeof FORMATS[number];

/** The format that a file's name says; HCL unless it ends in `.yaml`, `.yml` or `.json`. */
export function formatOf(fileName: string): Format {
  const [, extension] = /\.(ya?ml|json)$/i.exec(fileName) ?? [];
  if (extension === undefined) return "hcl";
  return extension.toLowerCase() === "json" ? "json" : "yaml";
}

/** The native front end: whether the source was read, and its JSON (a document, or a list of problems). */
export type NativeParser = (source: string, format: number) => { readonly ok: boolean; readonly json: string };

/** Makes the parser that `load` needs from the native one. */
export function configParser(native: NativeParser): (source: string, fileName: string) => ConfigDocument {
  return (source, fileName) => {
    const { ok, json } = native(source, FORMATS.indexOf(formatOf(fileName)));
    if (ok) return JSON.parse(json);
    const problems: { line: number; column: number; message: string }[] = JSON.parse(json);
    throw new ConfigError(
      problems.map(({ line, column, message }) =>
        formatProblem({ line, column, subject: "", text: message }, fileName)
      ),
    );
  };
}
