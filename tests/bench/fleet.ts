/** A cluster of fake nodes full of workloads, for benchmarks. */

import { sleep } from "../harness/wait.ts";
import type { Any, ApiServer } from "../kubernetes/api_server.ts";
import { Kwok } from "../kubernetes/kwok.ts";

const NAMESPACE = "/api/v1/namespaces/default";
const PODS = `${NAMESPACE}/pods`;
const APPS = "/apis/apps/v1/namespaces/default";
const JOBS = "/apis/batch/v1/namespaces/default/jobs";
export const CONTAINER_PORT = 8080;
export const SERVICE_PORT = 80;
const PODS_PER_WORKLOAD = 25;
const PODS_PER_JOB = 10;
const JOB_COUNT = 5;
/** Of workloads, one in so many is a StatefulSet. */
const STATEFUL = 10;
const PARALLEL = 8;

/** The template of a pod of the usual size: 4 KB as JSON once it runs. */
function template(app: string, more: Any = {}): Any {
  const env = Array.from({ length: 10 }, (_, at) => ({ name: `SETTING_${at}`, value: `value of setting ${at}` }));
  return {
    metadata: {
      labels: { app, "app.kubernetes.io/part-of": "bench" },
      annotations: { "example.org/config": "x".repeat(300) },
    },
    spec: {
      containers: [{
        ...{ name: "main", image: "example.org/team/app:1.2", env, ports: [{ containerPort: CONTAINER_PORT }] },
        resources: { requests: { cpu: "10m", memory: "10Mi" } },
      }],
      ...more,
    },
  };
}

/** Deployments and StatefulSets of 25 pods with a Service each, one DaemonSet, five Jobs. */
async function makeWorkloads(server: ApiServer, pods: number, nodes: number): Promise<void> {
  const workloads = Math.floor((pods - nodes - JOB_COUNT * PODS_PER_JOB) / PODS_PER_WORKLOAD);
  for (let i = 0; i < workloads; i++) {
    const name = `app-${i}`;
    const selector = { matchLabels: { app: name } };
    const spec = { replicas: PODS_PER_WORKLOAD, selector, template: template(name) };
    const isStateful = i % STATEFUL === 0;
    const kind = isStateful ? "statefulsets" : "deployments";
    const more = isStateful ? { serviceName: name, podManagementPolicy: "Parallel" } : {};
    await server.create(`${APPS}/${kind}`, { metadata: { name }, spec: { ...spec, ...more } });
    const ports = [{ port: SERVICE_PORT, targetPort: CONTAINER_PORT }];
    await server.create(`${NAMESPACE}/services`, { metadata: { name }, spec: { selector: { app: name }, ports } });
  }
  const selector = { matchLabels: { app: "every-node" } };
  const spec = { selector, template: template("every-node") };
  await server.create(`${APPS}/daemonsets`, { metadata: { name: "every-node" }, spec });
  for (let i = 0; i < JOB_COUNT; i++) {
    const size = { parallelism: PODS_PER_JOB, completions: PODS_PER_JOB };
    const job = { ...size, template: template(`job-${i}`, { restartPolicy: "Never" }) };
    await server.create(JOBS, { metadata: { name: `job-${i}` }, spec: job });
  }
}

/** Where a pod is. */
export interface Place {
  readonly address: string;
  readonly node: string;
  /** Address of the service in front of it, where there is one. */
  readonly service?: string;
}

/** Pods with their owners and services on nodes that are not there; disposing ends the programs. */
export class Fleet implements AsyncDisposable {
  private constructor(readonly server: ApiServer, readonly pods: number, private readonly kwok: Kwok) {}

  /** Resolves when all pods run or have ended. */
  static async start(server: ApiServer, pods: number, nodes: number): Promise<Fleet> {
    const kwok = await Kwok.start(server, nodes);
    const fleet = new Fleet(server, pods, kwok);
    try {
      await makeWorkloads(server, pods, nodes);
      for (const kind of ["deployments", "statefulsets"]) {
        await kwok.until(
          `the pods of ${kind} to run`,
          `${APPS}/${kind}`,
          ({ status }) => status.readyReplicas === PODS_PER_WORKLOAD,
        );
      }
    } catch (error) {
      await kwok[Symbol.asyncDispose]();
      throw error;
    }
    return fleet;
  }

  async places(): Promise<Place[]> {
    const services = await this.server.request("GET", `${NAMESPACE}/services`);
    const byApp = new Map(services.items.map(({ metadata, spec }: Any) => [metadata.name, spec.clusterIP]));
    const { items } = await this.server.request("GET", PODS);
    return items.filter(({ status }: Any) => status.phase === "Running" && status.podIP)
      .map(({ metadata, status, spec }: Any) => ({
        ...{ address: status.podIP, node: spec.nodeName, service: byApp.get(metadata.labels.app) },
      }));
  }

  /** Deletes pods at a rate, which their controllers replace; resolves with how many were. */
  async churn(perSecond: number, durationMs: number): Promise<number> {
    const { items } = await this.server.request("GET", PODS);
    const victims = items.filter(({ metadata: { name } }: Any) => name.startsWith("app-"))
      .map(({ metadata: { name } }: Any) => name);
    const startMs = performance.now();
    let deleted = 0;
    await Promise.all(Array.from({ length: PARALLEL }, async () => {
      while (performance.now() - startMs < durationMs && victims.length > 0) {
        const aheadMs = deleted / perSecond * 1000 - (performance.now() - startMs);
        deleted++;
        const victim = victims.shift();
        if (aheadMs > 0) await sleep(aheadMs);
        await this.server.request("DELETE", `${PODS}/${victim}`);
      }
    }));
    return deleted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kwok[Symbol.asyncDispose]();
  }
}
