/** Which part of `src` may use what: `deno run --allow-read=src tools/boundaries.ts` fails when a file breaks a rule. */

interface OnlyIn {
  text: string;
  files: string[];
}

/** Calls that live in these files and nowhere else, so that everything else stays pure and testable. */
const ONLY_IN: OnlyIn[] = [
  { text: "Deno.dlopen", files: ["src/capture/ffi_loader.ts"] },
  { text: "Deno.exit", files: ["src/main.ts"] },
];

/** Folders that decide and therefore import nothing but their own files, those named here, and packages that only compute. */
const PURE_FOLDERS: Record<string, string[]> = { "src/flow/": [], "src/filter/": ["src/flow/"] };
const PURE_PACKAGES = ["@noble/hashes/"];
/** Files of such a folder that decide nothing: tests, and the tables that others read. */
const BESIDE = /(_test|_bench|\/testing|\/config|\/metrics)\.ts$/;

const COMMENT = /\/\*[^]*?\*\/|(?<=^|\s)\/\/.*$/gm;
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g;

/** What `source`, the file at `path` (such as `src/flow/span.ts`), does that is not its place; one sentence each. */
export function brokenRules(path: string, source: string): string[] {
  const code = source.replace(COMMENT, "");
  const calls = ONLY_IN.filter(({ text, files }) => code.includes(text) && !files.includes(path))
    .map(({ text, files }) => `${path}: only ${files.join(", ")} may use ${text}`);
  const folder = Object.keys(PURE_FOLDERS).find((pure) => path.startsWith(pure));
  if (!folder || BESIDE.test(path)) return calls;
  const imports = [...code.matchAll(IMPORT)].map(([, specifier]) => specifier)
    .filter((specifier) =>
      ![folder, ...PURE_FOLDERS[folder], ...PURE_PACKAGES].some((allowed) =>
        resolve(path, specifier).startsWith(allowed)
      )
    )
    .map((specifier) => `${path}: ${folder} imports only its own files, not "${specifier}"`);
  return [...calls, ...imports];
}

/** Path of a relative import; any other specifier as it is. */
function resolve(path: string, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier;
  return new URL(specifier, `file:///${path}`).pathname.slice(1);
}

/** Every TypeScript file in a folder. */
export function* typeScriptFiles(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* typeScriptFiles(`${folder}/${name}`);
    else if (name.endsWith(".ts")) yield `${folder}/${name}`;
  }
}

if (import.meta.main) {
  const broken = [...typeScriptFiles("src")].flatMap((path) => brokenRules(path, Deno.readTextFileSync(path)));
  for (const rule of broken) console.error(rule);
  if (broken.length > 0) Deno.exit(1);
}
