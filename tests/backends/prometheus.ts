/** A real Prometheus that scrapes one agent. */

import { Process } from "../harness/process.ts";
import { freePorts, until } from "../harness/wait.ts";

/** Unpacked from Debian's package by `tools/setup` and put on `PATH` by `tools/env`. */
const PROGRAM = "prometheus";
const JOB = "mermin";

/** One series as the API returns it: its labels, `__name__` among them, and its newest value. */
export interface Series {
  labels: Record<string, string>;
  value: number;
}

interface Answer<T> {
  status: string;
  error?: string;
  data: T;
}

export class Prometheus implements AsyncDisposable {
  readonly #process: Process;
  readonly #directory: string;
  readonly #url: string;

  private constructor(process: Process, directory: string, port: number) {
    this.#process = process;
    this.#directory = directory;
    this.#url = `http://127.0.0.1:${port}`;
  }

  /** Resolves when it answers; it scrapes `target` (`host:port`) once a second. */
  static async start(target: string): Promise<Prometheus> {
    const directory = await Deno.makeTempDir({ prefix: "mermin-prometheus-" });
    const [port] = freePorts(1);
    // YAML is a superset of JSON.
    const config = {
      global: { scrape_interval: "1s" },
      scrape_configs: [{ job_name: JOB, static_configs: [{ targets: [target] }] }],
    };
    await Deno.writeTextFile(`${directory}/prometheus.yml`, JSON.stringify(config));
    const process = Process.start([
      PROGRAM,
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
    const prometheus = new Prometheus(process, directory, port);
    try {
      await process.waitForLine(/Server is ready to receive web requests/);
    } catch (error) {
      await prometheus[Symbol.asyncDispose]();
      throw error;
    }
    return prometheus;
  }

  /** What the scraping of the agent came to: `up`, and the message when it failed. */
  async target(): Promise<{ health: string; lastError: string }> {
    const { activeTargets } = await this.#ask<{ activeTargets: { health: string; lastError: string }[] }>("targets");
    return activeTargets[0];
  }

  /** Every series of the agent, by its newest sample; Prometheus's own labels `job` and `instance` are left out. */
  async series(): Promise<Series[]> {
    return (await this.query(`{job="${JOB}"}`)).map((
      { labels: { job: _job, instance: _instance, ...labels }, value },
    ) => ({
      labels,
      value,
    }));
  }

  /** What a query gives now. @throws {Error} when Prometheus does not understand it */
  async query(query: string): Promise<Series[]> {
    const { result } = await this.#ask<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
      `query?query=${encodeURIComponent(query)}`,
    );
    return result.map(({ metric, value }) => ({
      labels: metric,
      value: Number(value[1].replace("Inf", "Infinity")),
    }));
  }

  /** Resolves when another scrape has come to its end. */
  async untilScraped(): Promise<void> {
    const scrapedAt = async () => {
      const { activeTargets } = await this.#ask<{ activeTargets: { lastScrape: string }[] }>("targets");
      return activeTargets[0]?.lastScrape;
    };
    const before = await scrapedAt();
    await until("another scrape", async () => await scrapedAt() !== before);
  }

  async #ask<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const answer: Answer<T> = await response.json();
    if (answer.status !== "success") throw new Error(`Prometheus does not answer "${path}": ${answer.error}`);
    return answer.data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    await Deno.remove(this.#directory, { recursive: true });
  }
}
