import type { Node } from "./document.ts";
import type { Reading } from "./reading.ts";

/**
 * One row of a table of settings: what it is, in one sentence, and how it is read and checked.
 *
 * Everything else is derived from it: the type of the configuration, the defaults, the errors and the reference page.
 */
export interface Setting<T> {
  /** What may be written, for people: `duration`, `1 to 65535`. */
  readonly type: string;
  readonly doc: string;
  readonly default: T;
  /** Reads and checks a value; reports what is wrong with it, and gives the default then. */
  readonly read: (node: Node, at: Reading) => T;
  /** Unit that the field's name ends with in the program. */
  readonly unit?: "Ms";
  /** Rows of a group. */
  readonly fields?: Fields;
  /** What each item of a list is. */
  readonly item?: Setting<unknown>;
  /** A group that is left out when the file does not have it. */
  readonly optional?: boolean;
  /** What an optional group is when the file has it and nothing is set in it. */
  readonly empty?: T;
  /** Blocks of this name may be repeated; each is one item of a list. */
  readonly repeats?: boolean;
  /** Names of a group are the labels of its blocks, as `traces` in `export "traces" { }`. */
  readonly labels?: boolean;
  /** Must be given. */
  readonly required?: boolean;
  /** Never shown. */
  readonly secret?: boolean;
  /** Why a value other than the default has no effect. */
  readonly unused?: string;
  /** Environment variable and flag that override the file. */
  readonly env?: string;
  readonly flag?: string;
}

export type Fields = { readonly [name: string]: Setting<unknown> };

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S;
type FieldName<K extends string, S> = S extends { readonly unit: "Ms" } ? `${Camel<K>}Ms` : Camel<K>;

/** What a group is in the program: `tcp_timeout`, a duration, becomes `tcpTimeoutMs`. */
export type GroupValue<F extends Fields> = {
  readonly [K in keyof F & string as FieldName<K, F[K]>]: F[K]["default"];
};

/** The typed result of a setting or a group. */
export type ValueOf<S extends Setting<unknown>> = S["default"];

/** Name of a field in the program, as in `GroupValue`. */
export function fieldName(name: string, setting: Setting<unknown>): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()) + (setting.unit ?? "");
}

/** Marks a setting that may be written, and is checked, but whose feature `comes` later: one line is logged for it. */
export function later<S extends Setting<unknown>>(feature: string, setting: S): S {
  return unused(`${feature} comes in a later version`, setting);
}

/** Marks a setting that is accepted and checked but has no effect, and says why. */
export function unused<S extends Setting<unknown>>(why: string, setting: S): S {
  return { ...setting, unused: why };
}

/** Marks a setting that must be given. */
export function required<S extends Setting<unknown>>(setting: S): S {
  return { ...setting, required: true };
}

/** Marks a setting that another source can override. */
export function override<S extends Setting<unknown>>(names: { env?: string; flag?: string }, setting: S): S {
  return { ...setting, ...names };
}
