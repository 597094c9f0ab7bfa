/** A real OpenTelemetry Collector in a pod of the cluster, where the guide's configuration expects it. */

import type { Attributes, SpanRecord } from "../harness/otlp_json.ts";
import { readSpans } from "../harness/otlp_json.ts";
import { run } from "../harness/process.ts";
import { until } from "../harness/wait.ts";
import type { TwoNodes } from "../kubernetes/two_nodes.ts";

const MANIFEST = new URL("collector.yaml", import.meta.url).pathname;

export class CollectorPod implements AsyncDisposable {
  private constructor(private readonly nodes: TwoNodes, private readonly folder: string) {}

  /** Resolves when it accepts spans. */
  static async start(nodes: TwoNodes): Promise<CollectorPod> {
    const folder = await Deno.makeTempDir({ prefix: "mermin-install-" });
    // The pod's root may be another user for the folder's file system.
    await Deno.chmod(folder, 0o777);
    const manifest = (await Deno.readTextFile(MANIFEST)).replace("SPANS_FOLDER", folder);
    await Deno.writeTextFile(`${folder}/collector.yaml`, manifest);
    const collector = new CollectorPod(nodes, folder);
    await nodes.kubectl("apply", "-f", `${folder}/collector.yaml`);
    await nodes.kubectl("wait", "--for=condition=Ready", "pod/otel-collector", "--timeout=600s");
    return collector;
  }

  /** The spans written so far. */
  async spans(): Promise<SpanRecord[]> {
    return readSpans(await Deno.readTextFile(`${this.folder}/spans.jsonl`));
  }

  /** Resolves with all spans so far as soon as they satisfy `condition`. */
  waitForSpans(what: string, condition: (spans: SpanRecord[]) => boolean): Promise<SpanRecord[]> {
    return until(what, async () => {
      const spans = await this.spans();
      return condition(spans) ? spans : undefined;
    }, 300_000);
  }

  /** Stops it in order, so that the file is complete, and returns all spans. */
  async stop(): Promise<SpanRecord[]> {
    await this.nodes.kubectl("delete", "pod", "otel-collector");
    return await this.spans();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(["rm", "-r", this.folder]);
  }
}

/** The node whose agent made a span. */
export function nodeOf({ resource }: { resource: Attributes }): string {
  return String(resource["k8s.node.name"]);
}
