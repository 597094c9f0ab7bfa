/** Objects of Kubernetes as JSON, cut to what is used. */

/** A value of JSON. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

export interface OwnerReference {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

/** What every object has; the rest is read by path. */
export interface KubernetesObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion?: string;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly OwnerReference[];
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: JsonObject;
  readonly status?: JsonObject;
}

/** Whether `value` is what an API server sends for an object. */
export function isObject(value: unknown): value is KubernetesObject {
  const metadata = (value as { metadata?: { name?: unknown; uid?: unknown } } | null)?.metadata;
  return typeof metadata?.name === "string" && typeof metadata.uid === "string";
}

/** The controller, else the first owner. */
export function controllerOf({ metadata: { ownerReferences } }: KubernetesObject): OwnerReference | undefined {
  return ownerReferences?.find(({ controller }) => controller) ?? ownerReferences?.[0];
}

/** A path such as `spec.ports[*].port`: names, each with whether all items of its list are meant. */
export type Path = readonly { readonly name: string; readonly all: boolean }[];

/** @throws {TypeError} when `text` is no path */
export function parsePath(text: string): Path {
  return text.split(".").map((part) => {
    const [, name, all] = /^([\w/-]+)(\[\*?\])?$/.exec(part) ?? [];
    if (name === undefined) throw new TypeError(`Cannot read the path "${text}": write it as in spec.ports[*].port`);
    return { name, all: all !== undefined };
  });
}

/** All values at `path`, in order; lists that the path does not open are left out. */
export function valuesAt(value: Json | undefined, path: Path, from = 0): (string | number | boolean)[] {
  if (from === path.length) {
    return value === undefined || value === null || typeof value === "object" ? [] : [value];
  }
  const { name, all } = path[from];
  const child = childOf(value, name);
  if (!all) return valuesAt(child, path, from + 1);
  return Array.isArray(child) ? child.flatMap((item) => valuesAt(item, path, from + 1)) : [];
}

export function childOf(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return (value as JsonObject)[name];
}

/** Which parts of an object are kept: `true` for all beneath, else by name; a list is passed through item by item. */
export type Mask = true | { [name: string]: Mask };

/** The mask of some paths. */
export function maskOf(paths: readonly Path[]): Mask {
  const mask: { [name: string]: Mask } = {};
  for (const path of paths) {
    let at = mask;
    for (const [i, { name }] of path.entries()) {
      const isLast = i === path.length - 1;
      const next = at[name];
      if (next === true) break;
      if (isLast) at[name] = true;
      else at = (next ?? (at[name] = {})) as { [name: string]: Mask };
    }
  }
  return mask;
}

/** A copy of `value` with only what `mask` names; `null` is as good as nothing. */
export function cut(value: Json, mask: Mask): Json {
  if (mask === true || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.filter((item) => item !== null).map((item) => cut(item, mask));
  const kept: { [name: string]: Json } = {};
  for (const name in mask) {
    const child = (value as JsonObject)[name];
    if (child !== undefined && child !== null) kept[name] = cut(child, mask[name]);
  }
  return kept;
}

/** Whether two values of JSON are equal; the order of names makes no difference. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!isSame(a[i], b[i])) return false;
    return true;
  }
  let names = 0;
  for (const name in a) {
    names++;
    if (!isSame((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name])) return false;
  }
  for (const _ in b) names--;
  return names === 0 && !Array.isArray(b);
}
