/** Attributes with their whole names. Thousands of ends have the same names: they share one list of them. */
export class Attributes implements Iterable<readonly [name: string, value: string]> {
  constructor(private readonly names: readonly string[], private readonly values: readonly string[]) {}

  [Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    return this.names.map((name, i) => [name, this.values[i]] as const).values();
  }
}
