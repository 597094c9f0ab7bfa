/** Writes docs/configuration.md from the tables of settings: `deno run tools/config_doc.ts`. */

import { formatDuration, type Setting } from "../src/config/mod.ts";
import { ruleOf } from "../src/reload/rules.ts";
import { settings } from "../src/settings.ts";

const HEAD = `# Configuration

<!-- Generated from src/*/config.ts and src/settings.ts by \`deno task generate\`; do not edit. -->

A file (\`--config\`, or \`MERMIN_CONFIG_PATH\`) in HCL; or with the same structure in YAML (\`.yaml\`, \`.yml\`) or JSON
(\`.json\`). Built-in defaults, file, environment, flags: later ones win. \`mermin validate FILE\` names everything that is
wrong with a file, with line and column, and does nothing else. Without a file the defaults hold, and flows go to standard
output.

\`\`\`hcl
log_level = "info"

discovery "instrument" {
  interfaces = ["eth*", "/^en[ps][0-9]/"]
}

export "traces" {
  otlp = {
    endpoint = "http://\${env("COLLECTOR_HOST", "localhost")}:4317"
    headers  = { authorization = env("COLLECTOR_TOKEN", "none") }
  }
}
\`\`\`

The same in YAML, where the label of a block is a name like any other:

\`\`\`yaml
log_level: info
discovery:
  instrument:
    interfaces: ["eth*", "/^en[ps][0-9]/"]
export:
  traces:
    otlp:
      endpoint: http://\${env("COLLECTOR_HOST", "localhost")}:4317
      headers:
        authorization: env("COLLECTOR_TOKEN", "none")
\`\`\`

And in JSON:

\`\`\`json
{
  "log_level": "info",
  "discovery": { "instrument": { "interfaces": ["eth*", "/^en[ps][0-9]/"] } },
  "export": {
    "traces": {
      "otlp": {
        "endpoint": "http://\${env(\\"COLLECTOR_HOST\\", \\"localhost\\")}:4317",
        "headers": { "authorization": "env(\\"COLLECTOR_TOKEN\\", \\"none\\")" }
      }
    }
  }
}
\`\`\`

- **Groups** are blocks (\`otlp { … }\`) or objects (\`otlp = { … }\`). Words such as \`"info"\` or \`"Pod"\` may be written in
  any case.
- **\`env("NAME")\`** and \`env("NAME", "default")\` stand for a variable, in any text, in lists and in \`\${…}\`; in YAML and
  JSON as a text of its own or in \`\${…}\` (\`$\${\` for the characters \`\${\`). A variable that is not set and has no default
  counts as \`""\`, with a warning.
- **Durations**: \`300ms\`, \`5s\`, \`1m30s\`, \`24h\`.
- **Two spellings**: \`api\` and \`metrics\` may be written as \`internal "server"\` and \`internal "metrics"\`; in an
  association, \`{ from = "flow", name = "source.ip", to = […] }\` as \`{ from = "source.ip", to = […] }\`.
- **A changed file** is applied at SIGHUP, and by itself with \`auto_reload\`. One with a mistake changes nothing: the log
  says all that is wrong, and \`mermin_config_reloads_total{status="error"}\` counts it. Settings marked ↻ need a restart;
  the log names those that wait for one, and the rest is applied, with no flow lost. What Deno may reach is fixed at the
  start: a new collector needs a restart too, or \`MERMIN_ALLOW_NET=host:port,…\` beforehand. Variables and flags win as at
  the start.
- **YAML** is version 1.2: \`yes\` and \`on\` are text, anchors and aliases work, \`<<\` does not.

`;

/** A table of the groups below one heading. */
interface Section {
  readonly title: string;
  readonly doc: string;
  readonly rows: string[];
}

function sections(): Section[] {
  const all: Section[] = [{ title: "The whole file", doc: "", rows: [] }];
  for (const [name, setting] of Object.entries(settings.fields)) {
    if (setting.fields) addSection(all, name, setting);
    else all[0].rows.push(row(name, setting));
  }
  return all;
}

/** Labels of blocks become headings. */
function addSection(all: Section[], title: string, setting: Setting<unknown>, prefix = title): void {
  const fields = Object.entries(setting.fields ?? {});
  if (setting.labels) {
    for (const [label, field] of fields) addSection(all, `${title} "${label}"`, field, `${prefix}.${label}`);
    return;
  }
  const rows: string[] = [];
  const seen = new Map<unknown, string>();
  for (const [name, field] of fields) addRows(rows, seen, name, field, prefix);
  all.push({ title: `\`${title}\``, doc: setting.doc + note(setting.unused), rows });
}

function addRows(
  rows: string[],
  seen: Map<unknown, string>,
  path: string,
  setting: Setting<unknown>,
  prefix: string,
): void {
  const isList = setting.repeats || setting.item !== undefined;
  const inside = setting.fields ?? setting.item?.fields;
  const inner = isList ? `${path}[]` : path;
  const same = seen.get(inside);
  rows.push(row(path, setting, same && `With what \`${same}\` has.`, needsRestart(`${prefix}.${path}`)));
  if (!inside || same) return;
  seen.set(inside, inner);
  for (const [name, field] of Object.entries(inside)) addRows(rows, seen, `${inner}.${name}`, field, prefix);
}

/** `internal "server"` and `internal "metrics"` change as `api` and `metrics` do. */
function needsRestart(path: string): boolean {
  const isOlder = path.replace(/^internal\.(server|metrics)\b/, (_, name) => name === "server" ? "api" : name);
  return ruleOf(isOlder.replaceAll("[]", "")) === "restart";
}

function row(path: string, setting: Setting<unknown>, more = "", isFixed = false): string {
  const also = [setting.flag && `\`--${setting.flag}\``, setting.env && `\`${setting.env}\``].filter(Boolean);
  const sources = also.length > 0 ? `Also ${also.join(" and ")}.` : "";
  const what = [setting.doc, sources, more].filter(Boolean).join(" ") + note(setting.unused);
  const cells = [`\`${path}\`${isFixed ? " ↻" : ""}`, setting.type, defaultOf(setting), what];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function note(why: string | undefined): string {
  return why ? ` Accepted and checked, but ${why}.` : "";
}

function defaultOf(setting: Setting<unknown>): string {
  const { default: value, unit } = setting;
  if (setting.required) return "must be given";
  if (setting.fields || setting.item?.fields || value === "" || value === undefined) return "";
  return `\`${unit === "Ms" ? `"${formatDuration(value as number)}"` : JSON.stringify(value).replaceAll(",", ", ")}\``;
}

/** The whole page. */
export function configurationPage(): string {
  const all = sections();
  const parts = all.map(({ title, doc, rows }) => {
    const head = `## ${title}\n\n${doc ? `${doc}\n\n` : ""}`;
    const twin = all.find((other) => other.rows.join() === rows.join());
    if (twin && twin.title !== title) return `${head}The settings are those of ${twin.title}.\n`;
    return `${head}| setting | type | default | what it is |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`;
  });
  return HEAD + parts.join("\n");
}

if (import.meta.main) Deno.stdout.writeSync(new TextEncoder().encode(configurationPage()));
