/** The part of the agent that knows the cluster, alone, with a real API server. */

import assert from "node:assert/strict";
import type { ClusterAccess } from "../../src/kubernetes/api/access.ts";
import { Cluster } from "../../src/kubernetes/cluster.ts";
import { findAccess } from "../../src/kubernetes/api/kubeconfig.ts";
import type { Kind } from "../../src/kubernetes/model/kinds.ts";
import type { Selector } from "../../src/kubernetes/model/selection.ts";
import { clusterOptions, selector } from "../../src/kubernetes/testing.ts";
import { FlowSpan, type U64 } from "../../src/flow/span.ts";
import { until } from "../harness/wait.ts";

export { selector };

/** What a kubeconfig, or several joined by ":", says. It is written in JSON, which is YAML too. */
export function readAccess(paths: string): ClusterAccess {
  const io = {
    env: (name: string) => name === "KUBECONFIG" ? paths : undefined,
    readText: Deno.readTextFileSync,
    parseYaml: JSON.parse,
  };
  return findAccess("", io)!;
}

export interface InformersOptions {
  selectors?: Selector[];
  discoveryMs?: number;
  forbiddenMs?: number;
}

/** A cluster part without an agent around it; its log lines are kept. */
export class Informers implements AsyncDisposable {
  private constructor(
    readonly cluster: Cluster,
    readonly lines: { event: string; message: string; kinds?: string }[],
  ) {}

  /** Resolves when all that may be read is listed, or after two minutes. */
  static async start(access: ClusterAccess, { selectors = [], ...timing }: InformersOptions = {}): Promise<Informers> {
    const lines: Informers["lines"] = [];
    const write = (line: string) => void lines.push(JSON.parse(line));
    const cluster = new Cluster({
      access,
      ...clusterOptions(selectors, write),
      ...timing,
    });
    cluster.start();
    await cluster.untilSettled(120_000);
    // The last that is asked for at a start.
    const isAnswered = () => cluster.uid !== "" || lines.some(({ event }) => event === "k8s_uid_unknown");
    if (cluster.state.ok) await until("the uid of the cluster, or a line about it", isAnswered);
    return new Informers(cluster, lines);
  }

  count(kind: Kind): number {
    return this.cluster.figures.objects.find((one) => one.kind === kind)?.count ?? 0;
  }

  async untilCount(kind: Kind, count: number): Promise<void> {
    await until(`${count} of ${kind}`, () => this.count(kind) === count)
      .catch((error) => assert.fail(`${error.message}; there are ${this.count(kind)}; ${JSON.stringify(this.lines)}`));
  }

  stats(kind: Kind) {
    return this.cluster.figures.watched.find((one) => one.kind === kind)!;
  }

  /** Name of the pod that a flow from `address` at that time gets, milliseconds since the epoch. */
  podAt(address: string, timeMs: number): string | undefined {
    const span = new FlowSpan();
    span.sourceAddress = address;
    setNs(span.startNs, timeMs);
    setNs(span.endNs, timeMs);
    this.cluster.decorate(span);
    return [...span.sourceFacts?.attributes ?? []].find(([name]) => name === "source.k8s.pod.name")?.[1];
  }

  /** Names of the policies that a TCP flow between two addresses gets at that time, those of who calls first. */
  policiesAt(source: string, destination: string, timeMs: number): { egress: string[]; ingress: string[] } {
    const span = new FlowSpan();
    const ends = { sourceAddress: source, sourcePort: 40_000, destinationAddress: destination, destinationPort: 8080 };
    Object.assign(span, { ...ends, transport: "tcp", direction: "forward" });
    setNs(span.startNs, timeMs);
    setNs(span.endNs, timeMs);
    this.cluster.decorate(span);
    return { egress: [...span.egressPolicies], ingress: [...span.ingressPolicies] };
  }

  events(): string[] {
    return this.lines.map(({ event, kinds }) => kinds ? `${event} ${kinds}` : event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stop();
  }
}

function setNs(at: U64, timeMs: number): void {
  const ns = BigInt(Math.round(timeMs)) * 1_000_000n;
  at.hi = Number(ns >> 32n);
  at.lo = Number(ns & 0xffff_ffffn);
}
