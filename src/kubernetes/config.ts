import {
  blocks,
  bool,
  choice,
  duration,
  group,
  integer,
  labelled,
  list,
  map,
  replacing,
  required,
  text,
} from "../config/mod.ts";
import { DEFAULT_METADATA, defaultAttributes } from "./defaults.ts";
import { splitPath } from "./describe/extract.ts";
import { kindOf, KINDS } from "./model/kinds.ts";
import { parsePath } from "./model/object.ts";
import type { Associations } from "./index/rules.ts";

const kind = choice(KINDS, "Pod", `Kind of object: ${KINDS.join(", ")}.`, { what: "a kind" });
const path = (doc: string) => text("", doc, { what: 'a path such as "metadata.name"', check: checkPath });

const expression = group("A condition on labels.", {
  key: required(text("", "Name of the label.")),
  operator: required(choice(["In", "NotIn", "Exists", "DoesNotExist"], "In", "How it is compared.")),
  values: list(text("", "One value."), [], "What it is compared with."),
});

const selector = group("A kind of object, and which of it.", {
  kind: required(kind),
  namespaces: list(text("", "One namespace."), [], "Namespaces to look in; an empty list means all."),
  include: bool(true, "Whether the objects are taken or left out."),
  match_labels: map(text("", "One value."), "Labels that the objects must have."),
  match_expressions: list(expression, [], "Conditions on the labels of the objects."),
});

const relation = group("Objects that select others by their labels.", {
  kind: required(kind),
  to: required(choice(KINDS, "Pod", "Kind of the selected objects.", { what: "a kind" })),
  selector_match_labels_field: path("Where the labels of the selector stand."),
  selector_match_expressions_field: path("Where the conditions of the selector stand."),
});

/** `discovery "informer" "k8s"`: what is watched in the cluster. */
export const informerSettings = group("What is watched in the cluster.", {
  kubeconfig_path: text("", "Path of a kubeconfig; without one the pod's own account, then $KUBECONFIG.", {
    what: "a path",
  }),
  informers_sync_timeout: duration("30s", "Time for the first listing of all objects.", { max: "24h" }),
  selectors: list(
    selector,
    KINDS.map((kind) => ({ kind, namespaces: [], include: true, matchLabels: {}, matchExpressions: [] })),
    "Which objects are watched; without it, those of all kinds.",
  ),
  owner_relations: group("How owners are looked up.", {
    max_depth: integer(5, "Steps from an object to its last owner, at most.", { min: 0, max: 100 }),
    include_kinds: list(kind, [], "Kinds of owners that are named; an empty list means all."),
    exclude_kinds: list(kind, [], "Kinds of owners that are never named."),
  }),
  selector_relations: list(relation, [
    {
      kind: "NetworkPolicy",
      to: "Pod",
      selectorMatchLabelsField: "spec.podSelector.matchLabels",
      selectorMatchExpressionsField: "spec.podSelector.matchExpressions",
    },
    { kind: "Service", to: "Pod", selectorMatchLabelsField: "spec.selector", selectorMatchExpressionsField: "" },
  ], "Objects that select others by their labels; without it, NetworkPolicy and Service, which select Pods."),
});

const extraction = group("Makes attributes of labels or annotations.", {
  from: text("", "Kind of the object; [*], or nothing, means every kind.", {
    what: "the kind of an object",
    check: checkKind,
  }),
  key: text("", "Name to look for."),
  key_regex: text("", "Names to look for.", { what: "a regular expression", check: checkRegex }),
  value_regex: text("", "Values to take.", { what: "a regular expression", check: checkRegex }),
  attribute: text("", "Name of the attribute; $1 stands for the first group of key_regex."),
  attribute_value: text("", "Value of the attribute; $1 stands for the first group of value_regex."),
}, {
  check(value, complain) {
    if ((value.key === "") === (value.keyRegex === "")) complain(["key", "key_regex"], "give either key or key_regex");
  },
});

const FLOW_FIELDS = /^(source|destination)\.(ip|port)$|^network\.(transport|type)$/;

const sourceSettings = group("Which field of a flow is compared with which fields of an object.", {
  from: required(text("", 'Field of the flow; the older spelling has "flow" here and the field in name.')),
  name: text("", "Field of the flow, in the older spelling."),
  to: required(list(path("One field of the object."), [], "Fields of the object.")),
}, {
  check(value, complain) {
    const [name, field] = value.from === "flow" ? ["name", value.name] : ["from", value.from];
    if (!FLOW_FIELDS.test(field)) {
      complain(
        [name, "from"],
        `not a field of a flow; write for example "source.ip", "destination.port" or "network.transport"`,
      );
    } else if (value.from !== "flow" && value.name !== "") {
      complain(["name"], `only goes with from = "flow"`);
    }
  },
});

/** Both spellings become the later one, with the field in `from`. */
const source: typeof sourceSettings = {
  ...sourceSettings,
  read(node, at) {
    const value = sourceSettings.read(node, at);
    return value.from === "flow" ? { ...value, from: value.name, name: "" } : value;
  },
};

const sources = (kinds: string) =>
  group(`How ${kinds} are recognised.`, { sources: list(source, [], "What must be equal; all of them.") });

/** A flow's other end has ports too, which a policy names; its address is what the block of that end is for. */
function checkEnd(name: string, associations: Associations, complain: (path: string[], text: string) => void): void {
  for (const [kind, { sources }] of Object.entries(associations)) {
    const fields = sources.map(({ from }) => from);
    if (sources.length === 0 || fields.includes(`${name}.ip`)) continue;
    complain(["association", kind, "sources"], `nothing is compared with ${name}.ip, so nothing would ever be found`);
  }
}

function direction(name: "source" | "destination", doc: string) {
  const settings = group(`${doc} Without this block, by addresses, ports and protocols; an empty one turns it off.`, {
    extract: group("What is taken from the objects.", {
      metadata: list(
        text("", "One field.", { what: 'a path such as "pod.metadata.name"', check: checkMetadata }),
        DEFAULT_METADATA,
        "Fields of the objects that become attributes; [*] stands for every kind.",
      ),
      label: blocks(extraction),
      annotation: blocks(extraction),
    }),
    association: group("How the objects of a flow are found.", {
      pod: sources("pods"),
      node: sources("nodes"),
      service: sources("services"),
      endpoint: sources("endpoints"),
      endpointslice: sources("endpoint slices"),
      ingress: sources("ingresses"),
      gateway: sources("gateways"),
      networkpolicy: sources("network policies"),
    }),
  }, {
    check: ({ association }, complain) => checkEnd(name, association, complain),
  });
  return labelled(doc, { k8s: replacing(defaultAttributes(name), settings) });
}

/** `attributes "source" "k8s"` and `attributes "destination" "k8s"`: what is said about the ends of a flow. */
export const attributesSettings = labelled("What is said about the two ends of a flow.", {
  source: direction("source", "Attributes of where a flow comes from."),
  destination: direction("destination", "Attributes of where a flow goes to."),
});

/** `pipeline { k8s_decorator }`: the step that adds them. */
export const decoratorSettings = group("The step that adds Kubernetes attributes.", {
  decorated_span_queue_capacity: integer(
    32_768,
    "Records that wait behind this step: the same line as that of flow_span_queue_capacity, the less holds.",
    { min: 1, max: 16_000_000 },
  ),
});

function checkRegex(value: string): string | undefined {
  try {
    new RegExp(value);
    return undefined;
  } catch (error) {
    return `not a regular expression: ${(error as Error).message}`;
  }
}

function checkPath(value: string): string | undefined {
  return value === "" || isFine(() => parsePath(value))
    ? undefined
    : 'not a path; write for example "spec.ports[*].port"';
}

function checkMetadata(value: string): string | undefined {
  const example = 'write for example "[*].metadata.name" or "pod.spec.nodeName"';
  return isFine(() => parsePath(splitPath(value).field)) ? undefined : `not the path of a field of a kind; ${example}`;
}

function checkKind(value: string): string | undefined {
  const isKnown = value === "" || value === "*" || value === "[*]" || kindOf(value) !== undefined;
  return isKnown ? undefined : `not a kind; known are ${KINDS.join(", ")}`;
}

function isFine(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
