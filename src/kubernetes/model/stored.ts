import type { EndFacts } from "../../flow/span.ts";
import type { Places } from "./address_key.ts";
import type { Kind } from "./kinds.ts";
import type { KubernetesObject } from "./object.ts";

export type Direction = "source" | "destination";
/** The two ends of a flow as bits. */
export const SIDES: Readonly<Record<Direction, number>> = { source: 1, destination: 2 };

/** An object as it is known now, or was when it went. */
export interface Stored {
  readonly kind: Kind;
  readonly uid: string;
  object: KubernetesObject;
  /** When it was known to be gone, milliseconds since the epoch; `Infinity` while it is there. */
  goneMs: number;
  /** Addresses where it is or was; kept by `AddressIndex`. */
  places?: Places;
  /** What was said of ends where it comes first; kept by `Describer`. */
  said?: Said;
}

/** What is said of an end, and the pod that is there. */
export interface Described extends EndFacts {
  readonly pod: Stored | undefined;
}

/** What was said about an object together with others, as of an epoch; what else was said of it hangs on it. */
export interface Said {
  readonly direction: Direction;
  readonly epoch: number;
  readonly found: readonly Stored[];
  readonly container: string;
  readonly facts: Described | undefined;
  readonly next: Said | undefined;
}

/** Takes part in what is said about the ends of flows. */
export interface Objects {
  /** The owner with that uid; when it comes later, the epoch grows. */
  ownerByUid(uid: string): Stored | undefined;
  /** Those of a kind that are there now and may select others. */
  selecting(kind: Kind): Iterable<Stored>;
  /** The one of that name that is there now, of a kind that is in no namespace; when it comes later, the epoch grows. */
  named(kind: "Node" | "Namespace", name: string): Stored | undefined;
  /** Grows whenever something may have to be said anew. */
  readonly epoch: number;
}
