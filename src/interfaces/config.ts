import { bool, choice, group, integer, list, override, text } from "../config/mod.ts";

const LONGEST_REGEX = 256;

/** Interfaces that are watched when none are named: those of container networks on the usual clusters. */
const DEFAULT_PATTERNS = [
  "veth*",
  "tunl*",
  "ip6tnl*",
  "vxlan*",
  "flannel*",
  "cali*",
  "cilium_*",
  "lxc*",
  "gke*",
  "eni*",
  "azure*",
  "ovn-k8s*",
];

/** `discovery "instrument"`: where the programs are attached. */
export const instrumentSettings = group("Which network interfaces are watched, and how.", {
  interfaces: override(
    { flag: "interface" },
    list(
      text("", "One pattern.", { what: "a name, a glob or a /regex/", check: checkPattern }),
      DEFAULT_PATTERNS,
      "Interfaces to watch: names, globs with * and ?, or regular expressions between slashes; an empty list means the default.",
      { emptyIsDefault: true },
    ),
  ),
  auto_discover_interfaces: bool(
    true,
    "Whether interfaces are followed as they appear, go and get other names; without, they are looked at once.",
  ),
  tc_priority: integer(1, "Priority of the filter on kernels before 6.6, where the clsact hook is used.", {
    min: 1,
    max: 32767,
  }),
  tcx_order: choice(
    ["first", "last"],
    "first",
    "Place among the TCX programs of an interface, on kernels from 6.6; only the first program sees every packet.",
  ),
  network_namespace: text(
    "auto",
    "Where interfaces are looked for: self, host, the path of a network namespace, or auto: in a pod the host's, else its own.",
    {
      what: `"auto", "self", "host" or a path`,
      check: checkNamespace,
    },
  ),
});

/** Says what is wrong with an interface pattern, or nothing. */
export function checkPattern(pattern: string): string | undefined {
  if (pattern === "") return "empty; write a name, a glob or a /regex/";
  if (!pattern.startsWith("/")) {
    return /[\s/]/.test(pattern)
      ? "no interface has a space or a slash in its name; a regex needs a slash at both ends"
      : undefined;
  }
  if (pattern.length < 3 || !pattern.endsWith("/")) return "a regular expression needs a slash at both ends";
  if (pattern.length - 2 > LONGEST_REGEX) return `the regular expression has more than ${LONGEST_REGEX} characters`;
  try {
    new RegExp(pattern.slice(1, -1));
    return undefined;
  } catch (error) {
    return `not a regular expression: ${(error as Error).message}`;
  }
}

function checkNamespace(value: string): string | undefined {
  if (["auto", "self", "host"].includes(value) || value.startsWith("/")) return undefined;
  return `not allowed; write "auto", "self", "host" or an absolute path`;
}
