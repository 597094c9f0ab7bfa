/** Reads the Prometheus text format. */

/** One scrape. */
export class Metrics {
  /** Values by name and labels as they stand in the text, such as `up{job="a"}`. */
  readonly samples = new Map<string, number>();

  constructor(text: string) {
    for (const line of text.split("\n")) {
      const parts = /^([^#\s{]+(?:\{.*\})?)\s+(\S+)/.exec(line);
      if (parts) this.samples.set(parts[1], Number(parts[2].replace("Inf", "Infinity")));
    }
  }

  /** The sum of the samples whose name and labels match. */
  sum(pattern: RegExp): number {
    return [...this.samples].reduce((sum, [key, value]) => pattern.test(key) ? sum + value : sum, 0);
  }
}

/** @throws {Error} when `url` does not answer 200. */
export async function fetchMetrics(url: string): Promise<Metrics> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
  return new Metrics(text);
}
