/** What the selectors of the configuration ask of the API server, and what is left to be judged here. */

import { type Kind, KINDS } from "./kinds.ts";
import { isEmpty, type LabelSelector, queryOf, selects } from "./label_selector.ts";
import type { KubernetesObject } from "./object.ts";

/** One item of `discovery.informer.k8s.selectors`. */
export interface Selector extends LabelSelector {
  readonly kind: Kind;
  readonly namespaces: readonly string[];
  readonly include: boolean;
}

/** One list and watch: of a namespace or, with `""`, of all. */
export interface Scope {
  readonly namespace: string;
  /** `labelSelector` and `fieldSelector` of the request, when they are not empty. */
  readonly query: Readonly<Record<string, string>>;
  /** Only the metadata of objects is asked for. */
  readonly isMetadataOnly?: boolean;
  /** What a watch brings within so many milliseconds is taken together; each by itself without. */
  readonly pauseMs?: number;
}

export interface Selection {
  readonly kind: Kind;
  readonly scopes: readonly Scope[];
  /** What the API server cannot filter. */
  readonly wants: (object: KubernetesObject) => boolean;
}

/**
 * How each kind is watched. Namespaces and labels of a single selector are left to the API server, and so are namespaces
 * that are excluded as a whole; everything else is judged here. An empty list means all kinds, all objects.
 */
export function selectionsOf(selectors: readonly Selector[]): Selection[] {
  const kinds = selectors.length === 0 ? [...KINDS] : KINDS.filter((kind) => selectors.some((s) => s.kind === kind));
  return kinds.map((kind) => selectionOf(kind, selectors.filter((selector) => selector.kind === kind)));
}

function selectionOf(kind: Kind, selectors: readonly Selector[]): Selection {
  const included = selectors.filter(({ include }) => include);
  const excluded = selectors.filter(({ include }) => !include);
  const wants = (object: KubernetesObject) =>
    (included.length === 0 || included.some((selector) => fits(selector, object))) &&
    !excluded.some((selector) => fits(selector, object));
  // Labels are only asked for when all scopes have the same: an object must not come by two of them.
  const labels = included.length === 1 ? queryOf(included[0]) : "";
  const fields = excluded.filter(isEmpty).flatMap(({ namespaces }) => namespaces)
    .map((namespace) => `metadata.namespace!=${namespace}`).join(",");
  const query = { ...(labels ? { labelSelector: labels } : {}) };
  const everywhere = included.length === 0 || included.some(({ namespaces }) => namespaces.length === 0);
  if (!everywhere && isNamespaced(kind)) {
    const namespaces = [...new Set(included.flatMap(({ namespaces }) => namespaces))];
    return { kind, wants, scopes: namespaces.map((namespace) => ({ namespace, query })) };
  }
  const scope = { namespace: "", query: fields && isNamespaced(kind) ? { ...query, fieldSelector: fields } : query };
  return { kind, wants, scopes: [scope] };
}

/** Nodes and namespaces are in no namespace; a namespace belongs to itself, so that its selector means what one expects. */
export function isNamespaced(kind: Kind): boolean {
  return kind !== "Node" && kind !== "Namespace";
}

function fits(selector: Selector, { metadata }: KubernetesObject): boolean {
  const namespace = metadata.namespace ?? metadata.name;
  if (selector.namespaces.length > 0 && selector.kind !== "Node" && !selector.namespaces.includes(namespace)) {
    return false;
  }
  return selects(selector, metadata.labels);
}
