/** Log lines on standard error: text for people, JSON for machines. */

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";
export type LogFormat = "text" | "json";
/** What a line tells besides its text; the names of the line's own parts are taken. */
export type LogFields = Record<string, string | number | boolean> & { readonly [own in OwnName]?: never };
type OwnName = "time" | "level" | "component" | "event" | "message";

/** Writes log lines. `event` is a stable name of `LOG_EVENTS` (src/log_events.ts), `text` lower-case words for people. */
export interface Logger {
  debug(event: string, text: string, fields?: LogFields): void;
  info(event: string, text: string, fields?: LogFields): void;
  warn(event: string, text: string, fields?: LogFields): void;
  error(event: string, text: string, fields?: LogFields): void;
  /** A logger for the named component of the agent; it shares level, format and rate limit. */
  child(component: string): Logger;
}

export interface LogOptions {
  /** Lines below this level are left out. */
  level: LogLevel;
  format: LogFormat;
  /** Takes one line, line break included. */
  write: (line: string) => void;
  /** Milliseconds since the Unix epoch. */
  now: () => number;
  /** Lines that one event of one component may write per window; the rest is counted. */
  linesPerWindow?: number;
  windowMs?: number;
}

const LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];
const ROOT = "agent";

interface Window {
  startMs: number;
  lines: number;
  suppressed: number;
}

interface Line {
  level: LogLevel;
  component: string;
  event: string;
  text: string;
  fields: LogFields;
}

/** Owns what all loggers of a process share: level, format, output and rate limit. */
export class Log {
  #rank: number;
  #format: (timeMs: number, line: Line) => string;
  readonly #write: (line: string) => void;
  readonly #now: () => number;
  readonly #linesPerWindow: number;
  readonly #windowMs: number;
  /** By component and event; as many as the code has events. */
  readonly #windows = new Map<string, Window>();

  constructor({ level, format, write, now, linesPerWindow = 10, windowMs = 10_000 }: LogOptions) {
    this.#rank = rankOf(level);
    this.#format = formatterOf(format);
    this.#write = write;
    this.#now = now;
    this.#linesPerWindow = linesPerWindow;
    this.#windowMs = windowMs;
  }

  /** Changes which lines are left out; all loggers follow at once. */
  setLevel(level: LogLevel): void {
    this.#rank = rankOf(level);
  }

  /** Changes how lines are written; all loggers follow at once. */
  setFormat(format: LogFormat): void {
    this.#format = formatterOf(format);
  }

  /** The logger of one component. */
  logger(component: string = ROOT): Logger {
    const at = (level: LogLevel) => (event: string, text: string, fields: LogFields = {}) =>
      this.#log({ level, component, event, text, fields });
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (name) => this.logger(name),
    };
  }

  /** Reports at once what the rate limit holds back; for the end of the process. */
  flush(): void {
    this.#report(Infinity);
  }

  #log(line: Line): void {
    if (rankOf(line.level) < this.#rank) return;
    const nowMs = this.#now();
    this.#report(nowMs);
    const key = `${line.component} ${line.event}`;
    let window = this.#windows.get(key);
    if (window === undefined) this.#windows.set(key, window = { startMs: nowMs, lines: 0, suppressed: 0 });
    if (window.lines < this.#linesPerWindow) {
      window.lines++;
      this.#write(this.#format(nowMs, line));
    } else {
      window.suppressed++;
    }
  }

  /** Ends the windows that are over at `nowMs` and says how many lines each held back. */
  #report(nowMs: number): void {
    for (const [key, { startMs, suppressed }] of this.#windows) {
      const ageMs = nowMs - startMs;
      // A clock that was set back ends a window too: it must not silence an event until it has caught up.
      if (ageMs >= 0 && ageMs < this.#windowMs) continue;
      this.#windows.delete(key);
      if (suppressed === 0) continue;
      const [component, event] = key.split(" ");
      const fields = { suppressed_event: event, count: suppressed };
      const text = "more lines of one event were left out";
      this.#write(this.#format(this.#now(), { level: "warn", component, event: "suppressed", text, fields }));
    }
  }
}

function rankOf(level: LogLevel): number {
  return LEVELS.indexOf(level);
}

/** The format that the setting asks for; `auto` is text on a terminal, else JSON. */
export function resolveLogFormat(setting: LogFormat | "auto", isTerminal: boolean): LogFormat {
  return setting === "auto" ? isTerminal ? "text" : "json" : setting;
}

/** Writes a whole line to standard error. */
export function writeToStderr(line: string): void {
  let rest = new TextEncoder().encode(line);
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stderr.writeSync(rest));
  } catch {
    // Nobody reads our log any more (closed pipe, full disk), and there is no other place to say so. Flows matter more.
  }
}

function formatterOf(format: LogFormat): (timeMs: number, line: Line) => string {
  return format === "json" ? formatJson : formatText;
}

function formatJson(timeMs: number, { level, component, event, text, fields }: Line): string {
  // The line's own names come last, so that no field can stand in for them.
  const own = { time: new Date(timeMs).toISOString(), level, component, event, message: text };
  return `${JSON.stringify({ ...own, ...fields, ...own })}\n`;
}

function formatText(timeMs: number, { level, component, event, text, fields }: Line): string {
  const time = new Date(timeMs).toISOString();
  const head = `${time} ${level.toUpperCase().padEnd(5)} ${component}: ${singleLine(text)}`;
  const tail = Object.entries(fields).map(([name, value]) => ` ${name}=${quoted(String(value))}`).join("");
  return `${head}  event=${event}${tail}\n`;
}

/** Control characters as escapes, so that a value cannot begin a line of its own or drive the terminal. */
function singleLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => JSON.stringify(char).slice(1, -1));
}

function quoted(value: string): string {
  return /^[^\s"=]+$/.test(value) ? singleLine(value) : `"${singleLine(value.replaceAll('"', '\\"'))}"`;
}
