/** What the configuration takes from objects, ready for use. */

import { type Kind, KIND_FACTS, kindOf, KINDS } from "../model/kinds.ts";
import { type Json, type KubernetesObject, parsePath, type Path, valuesAt } from "../model/object.ts";

/** One `label` or `annotation` block. */
export interface Extraction {
  readonly from: string;
  readonly key: string;
  readonly keyRegex: string;
  readonly valueRegex: string;
  readonly attribute: string;
  readonly attributeValue: string;
}

export interface Extract {
  readonly metadata: readonly string[];
  readonly label: readonly Extraction[];
  readonly annotation: readonly Extraction[];
}

/** Takes one attribute, such as `k8s.pod.name`; the first of a name stays. */
export type Take = (name: string, value: string) => void;

interface Field {
  readonly attribute: string;
  readonly path: Path;
}

/** Says of one object what `extract` asks for. */
export class Extractor {
  readonly #fields = new Map<Kind, Field[]>();
  readonly #labels = new Map<Kind, Extraction[]>();
  readonly #annotations = new Map<Kind, Extraction[]>();

  /** @throws {TypeError} for a path or a kind that is none; the configuration's checks let no such pass */
  constructor({ metadata, label, annotation }: Extract) {
    for (const text of metadata) {
      const { kinds, field } = splitPath(text);
      for (const kind of kinds) {
        add(this.#fields, kind, { attribute: fieldAttribute(kind, field), path: parsePath(field) });
      }
    }
    for (const extraction of label) for (const kind of kindsOf(extraction)) add(this.#labels, kind, extraction);
    for (const extraction of annotation) {
      for (const kind of kindsOf(extraction)) add(this.#annotations, kind, extraction);
    }
  }

  /** What an object of `kind` must keep. */
  paths(kind: Kind): Path[] {
    const maps = (this.#labels.has(kind) ? ["metadata.labels"] : []).map(parsePath);
    // Annotations can be large: those are kept by name where the names are known.
    const annotations = (this.#annotations.get(kind) ?? []).map(({ key }): Path => [
      { name: "metadata", all: false },
      { name: "annotations", all: false },
      ...(key === "" ? [] : [{ name: key, all: false }]),
    ]);
    return [...(this.#fields.get(kind) ?? []).map(({ path }) => path), ...maps, ...annotations];
  }

  /** All attributes of one object, without the direction in front. */
  describe(kind: Kind, object: KubernetesObject, take: Take): void {
    for (const { attribute, path } of this.#fields.get(kind) ?? []) {
      const values = valuesAt(object as unknown as Json, path);
      if (values.length > 0) take(attribute, values.join(","));
    }
    const word = KIND_FACTS[kind].word;
    takeAll(this.#labels.get(kind), object.metadata.labels, `k8s.${word}.label.`, take);
    takeAll(this.#annotations.get(kind), object.metadata.annotations, `k8s.${word}.annotation.`, take);
  }

  /** Name and uid of an object that is known by a reference only. */
  describeReference(kind: Kind, { name, uid }: { name: string; uid: string }, take: Take): void {
    for (const { attribute, path } of this.#fields.get(kind) ?? []) {
      if (path.length !== 2 || path[0].name !== "metadata") continue;
      if (path[1].name === "name") take(attribute, name);
      if (path[1].name === "uid") take(attribute, uid);
    }
  }
}

function takeAll(
  extractions: readonly Extraction[] | undefined,
  values: Readonly<Record<string, string>> | undefined,
  prefix: string,
  take: Take,
): void {
  if (!extractions || !values) return;
  for (const extraction of extractions) {
    for (const [key, value] of Object.entries(values)) {
      const names = extraction.key === ""
        ? new RegExp(`^(?:${extraction.keyRegex})$`).exec(key)
        : key === extraction.key;
      if (!names) continue;
      const parts = extraction.valueRegex === "" ? undefined : new RegExp(extraction.valueRegex).exec(value);
      if (parts === null) continue;
      const attribute = extraction.attribute === ""
        ? `${prefix}${key}`
        : backReferences(extraction.attribute, names === true ? undefined : names);
      const taken = extraction.attributeValue === "" ? value : backReferences(extraction.attributeValue, parts);
      if (taken !== "") take(attribute, taken);
    }
  }
}

/** `$1` to `$9` are the groups of `match`, `$0` all of it; without one they stay as they are. */
function backReferences(text: string, match: RegExpExecArray | undefined): string {
  return match ? text.replace(/\$(\d)/g, (_, group) => match[Number(group)] ?? "") : text;
}

/** `[*].metadata.name` is of every kind, `pod.metadata.uid` of one. @throws {TypeError} */
export function splitPath(text: string): { kinds: readonly Kind[]; field: string } {
  const dot = text.indexOf(".");
  const [word, field] = [text.slice(0, dot), text.slice(dot + 1)];
  if (word === "[*]" || word === "*") return { kinds: KINDS, field };
  const kind = dot < 0 ? undefined : kindOf(word);
  if (kind === undefined) {
    throw new TypeError(`Cannot extract "${text}": it begins with neither [*] nor a kind such as pod`);
  }
  return { kinds: [kind], field };
}

/** `pod`, `*`, `[*]`, or nothing for every kind. */
function kindsOf({ from }: Extraction): readonly Kind[] {
  if (from === "" || from === "*" || from === "[*]") return KINDS;
  const kind = kindOf(from);
  if (kind === undefined) throw new TypeError(`Cannot extract from "${from}": no such kind`);
  return [kind];
}

/** The namespace of all objects is one attribute; other fields are named after their path. */
function fieldAttribute(kind: Kind, field: string): string {
  if (field === "metadata.namespace") return "k8s.namespace.name";
  return `k8s.${KIND_FACTS[kind].word}.${field.replace(/^metadata\./, "").replaceAll("[*]", "")}`;
}

function add<T>(map: Map<Kind, T[]>, kind: Kind, item: T): void {
  const items = map.get(kind);
  if (items) items.push(item);
  else map.set(kind, [item]);
}
