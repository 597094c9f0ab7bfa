/** Label selectors (Kubernetes API conventions, meta/v1 LabelSelector). */

export type Operator = "In" | "NotIn" | "Exists" | "DoesNotExist";

export interface Expression {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

export interface LabelSelector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly Expression[];
}

export type Labels = Readonly<Record<string, string>>;

/** Whether `labels` satisfy all conditions; an empty selector is satisfied by everything. */
export function selects(selector: LabelSelector, labels: Labels = {}): boolean {
  for (const key in selector.matchLabels) if (labels[key] !== selector.matchLabels[key]) return false;
  return selector.matchExpressions.every((expression) => holds(expression, labels));
}

/** The selector as the API server takes it in `labelSelector`; `""` selects everything. */
export function queryOf({ matchLabels, matchExpressions }: LabelSelector): string {
  return [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(expressionText),
  ].join(",");
}

export function isEmpty({ matchLabels, matchExpressions }: LabelSelector): boolean {
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}

function holds({ key, operator, values }: Expression, labels: Labels): boolean {
  // Labels may be called as what every object of the language has, such as `constructor`.
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      // As the API server has it: an object without the label satisfies NotIn.
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

function expressionText({ key, operator, values }: Expression): string {
  switch (operator) {
    case "In":
      return `${key} in (${values.join(",")})`;
    case "NotIn":
      return `${key} notin (${values.join(",")})`;
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${key}`;
  }
}
