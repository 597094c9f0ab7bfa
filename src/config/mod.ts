export { checkAddress, checkCidr, checkHttpUrl, checkRange } from "./checks.ts";
export type { ConfigDocument, Node } from "./document.ts";
export { formatDuration, parseDuration } from "./duration.ts";
export { ConfigError, inWords } from "./errors.ts";
export { configParser, type NativeParser } from "./front_end.ts";
export { blocks, type Complain, group, labelled, optional, replacing } from "./group.ts";
export { bool, choice, duration, integer, list, map, number, port, secret, text } from "./kinds.ts";
export { type ConfigSources, type Flags, load, type Loaded, walk } from "./load.ts";
export { readConfigFile } from "./read_file.ts";
export type { Reading } from "./reading.ts";
export { nearest } from "./nearest.ts";
export {
  fieldName,
  type GroupValue,
  later,
  override,
  required,
  type Setting,
  unused,
  type ValueOf,
} from "./setting.ts";
