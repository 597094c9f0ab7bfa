/** What makes a lone API server a cluster of fake nodes: controllers and a scheduler, and kwok in place of the kubelets. */

import { dirname, join } from "node:path";
import { Process, tryRun } from "../harness/process.ts";
import { until } from "../harness/wait.ts";
import type { Any, ApiServer } from "./api_server.ts";

const NODES = "/api/v1/nodes";
const CONTROLLERS = ["deployment", "replicaset", "statefulset", "daemonset", "job", "endpoints", "endpointslice"];
/** Without these, thousands of pods wait for the clients' own limits. */
const RATE = ["--kube-api-qps=300", "--kube-api-burst=600"];
const SYNC_MS = 600_000;

/** Fake nodes, on which pods are Running as soon as they are scheduled; disposing ends the programs. */
export class Kwok implements AsyncDisposable {
  readonly #programs: Process[];

  private constructor(readonly server: ApiServer, programs: Process[]) {
    this.#programs = programs;
  }

  static async start(server: ApiServer, nodes: number): Promise<Kwok> {
    const config = `--kubeconfig=${await server.kubeconfig()}`;
    const controllers = CONTROLLERS.map((name) => `${name}-controller`).join(",");
    const kwok = new Kwok(
      server,
      [
        ["kubernetes", "kube-controller-manager", `--controllers=${controllers}`, "--secure-port=0", ...RATE],
        ["kubernetes", "kube-scheduler", "--secure-port=0", ...RATE],
        ["kwok", "--manage-all-nodes", "--node-lease-duration-seconds=40", `--config=${await stages()}`],
      ].map(([name, ...args]) =>
        Process.start([name, ...args, config, ...(name === "kubernetes" ? ["--leader-elect=false"] : [])])
      ),
    );
    try {
      for (let i = 0; i < nodes; i++) {
        const { metadata: { name } } = await server.create(NODES, node(i));
        // A new node may take no pod until a controller, which is not here, has seen it Ready.
        await server.patch(`${NODES}/${name}`, { spec: { taints: null } });
      }
    } catch (error) {
      await kwok[Symbol.asyncDispose]();
      throw error;
    }
    return kwok;
  }

  /** Resolves when all objects at `collection` fit. */
  async until(what: string, collection: string, fits: (object: Any) => boolean): Promise<void> {
    await until(what, async () => {
      const ended = this.#programs.find(({ running }) => !running);
      if (ended) throw new Error(`A part of the cluster ended:\n${ended.output.slice(-3000)}`);
      const { items } = await this.server.request("GET", `${collection}?resourceVersion=0`);
      return items.every(fits);
    }, SYNC_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program[Symbol.asyncDispose]()));
  }
}

/** What kwok does with nodes and pods, laid beside it by `tools/setup scale`. */
async function stages(): Promise<string> {
  const { code, stdout } = await tryRun(["which", "kwok"]);
  if (code !== 0) throw new Error("There is no kwok: tools/setup scale builds it");
  return join(dirname(stdout.trim()), "stages.yaml");
}

function node(i: number): Any {
  const name = `node-${i}`;
  const resources = { cpu: "64", memory: "256Gi", pods: "250" };
  return {
    metadata: { name, labels: { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": `zone-${i % 3}` } },
    spec: { podCIDR: `10.128.${i}.0/24`, podCIDRs: [`10.128.${i}.0/24`] },
    status: {
      capacity: resources,
      allocatable: resources,
      addresses: [{ type: "InternalIP", address: `172.16.0.${i}` }, { type: "Hostname", address: name }],
    },
  };
}
