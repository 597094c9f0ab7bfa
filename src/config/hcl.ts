import type { HclDocument } from "./document.ts";
import { ConfigError, formatProblem } from "./errors.ts";

/** The native HCL front end: whether the source was read, and its JSON (a document, or a list of problems). */
export type NativeParser = (source: string) => { readonly ok: boolean; readonly json: string };

/** Makes the parser that `load` needs from the native one. */
export function hclParser(native: NativeParser): (source: string, fileName: string) => HclDocument {
  return (source, fileName) => {
    const { ok, json } = native(source);
    if (ok) return JSON.parse(json);
    const problems: { line: number; column: number; message: string }[] = JSON.parse(json);
    throw new ConfigError(
      problems.map(({ line, column, message }) =>
        formatProblem({ line, column, subject: "", text: message }, fileName)
      ),
    );
  };
}
