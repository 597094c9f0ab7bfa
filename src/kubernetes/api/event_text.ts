/** The text of one event of a watch, up to half of which is what nobody asks for. */

const BEGIN = ',"managedFields":[{';
const END = "}]";
const METADATA_END = "}";

/**
 * `line` as JSON, perhaps without `metadata.managedFields`, who set which field. An API server writes it as the last of the
 * metadata; where the text is otherwise, it is read whole. Nothing in the list is a list, so the first end of one is its own,
 * unless that is within a string: then what is left is no JSON, for the rest of the string is followed by a name without a
 * quotation mark before it.
 *
 * @throws {SyntaxError}
 */
// deno-lint-ignore no-explicit-any -- what an API server sends
export function parseEvent(line: string): any {
  const begin = line.indexOf(BEGIN);
  const end = begin < 0 ? -1 : line.indexOf(END, begin) + END.length;
  if (end < END.length || line[end] !== METADATA_END) return JSON.parse(line);
  try {
    return JSON.parse(line.slice(0, begin) + line.slice(end));
  } catch {
    // Read whole, it is right, or says what is wrong with it.
    return JSON.parse(line);
  }
}
