/** What the configuration says about Kubernetes, as this component takes it. */

import type { Associations } from "./index/rules.ts";
import type { Extract } from "./describe/extract.ts";
import type { Kind } from "./model/kinds.ts";
import type { Direction } from "./model/stored.ts";
import type { Selector } from "./model/selection.ts";

export interface InformerConfig {
  readonly kubeconfigPath: string;
  readonly informersSyncTimeoutMs: number;
  readonly selectors: readonly Selector[];
  readonly ownerRelations: {
    readonly maxDepth: number;
    readonly includeKinds: readonly Kind[];
    readonly excludeKinds: readonly Kind[];
  };
  readonly selectorRelations: readonly {
    readonly kind: Kind;
    readonly to: Kind;
    readonly selectorMatchLabelsField: string;
    readonly selectorMatchExpressionsField: string;
  }[];
}

/** An `attributes` block. */
export interface AttributesConfig {
  readonly extract: Extract;
  readonly association: Associations;
}

/** The blocks of both directions. */
export type DirectionsConfig = Readonly<Record<Direction, { readonly k8s: AttributesConfig }>>;
