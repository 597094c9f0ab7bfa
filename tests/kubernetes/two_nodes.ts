/** The real cluster of two nodes that `tools/cluster` makes, with the workloads of the tests. */

import { Agent, type Instance } from "../harness/agent.ts";
import type { Collector } from "../harness/collector.ts";
import { Process, type Result, run, tryRun } from "../harness/process.ts";
import { until } from "../harness/wait.ts";
import type { Any } from "./api_server.ts";

const TOOL = new URL("../../tools/cluster", import.meta.url).pathname;
const FORWARD = new URL("../cluster/forward.py", import.meta.url).pathname;
const WORKLOADS = new URL("workloads.yaml", import.meta.url).pathname;
const CLUSTER = Deno.env.get("MERMIN_CLUSTER") ?? "mermin";
const FOLDER = `/var/tmp/${CLUSTER}-cluster`;
const API_SERVER = ["10.99.0.2", "6443"];

export const NODES = { "node-a": "10.99.0.2", "node-b": "10.99.0.3" } as const;

/** A pod as the tests ask for it. */
export interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
  readonly node: string;
}

/** Starts the cluster; disposing removes it with everything that it made. */
export class TwoNodes implements AsyncDisposable {
  private constructor(
    private readonly forward: Process,
    /** Path of a kubeconfig that reaches the API server from here. */
    readonly kubeconfig: string,
    private readonly directory: string,
  ) {}

  /** Resolves when all pods of the workloads are ready; the nodes have the images of these files, too. */
  static async start(images: readonly string[] = []): Promise<TwoNodes> {
    await run([TOOL, "down"]);
    await run([TOOL, "up", ...images]);
    const forward = TwoNodes.forward(API_SERVER[0], API_SERVER[1]);
    const port = await forward.waitForLine(/^\d+$/);
    const directory = await Deno.makeTempDir({ prefix: "mermin-nodes-" });
    const kubeconfig = `${directory}/kubeconfig`;
    const admin = await Deno.readTextFile(`${FOLDER}/pki/admin.kubeconfig`);
    await Deno.writeTextFile(kubeconfig, admin.replace(API_SERVER.join(":"), `127.0.0.1:${port}`));
    const nodes = new TwoNodes(forward, kubeconfig, directory);
    await nodes.kubectl("apply", "-f", WORKLOADS);
    await nodes.kubectl("rollout", "status", "deployment/web", "statefulset/db", "daemonset/host", "--timeout=600s");
    await nodes.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=600s");
    return nodes;
  }

  /** Path of the network namespace of a node. */
  static namespace(node: keyof typeof NODES): string {
    return `/run/netns/${CLUSTER}-${node}`;
  }

  kubectl(...args: string[]): Promise<string> {
    return run([TOOL, "kubectl", ...args]);
  }

  /** Runs kubectl to whatever end. */
  tryKubectl(...args: string[]): Promise<Result> {
    return tryRun([TOOL, "kubectl", ...args]);
  }

  helm(...args: string[]): Promise<string> {
    return run([TOOL, "helm", ...args]);
  }

  /** Runs Helm to whatever end. */
  tryHelm(...args: string[]): Promise<Result> {
    return tryRun([TOOL, "helm", ...args]);
  }

  /** Runs a command on a node. */
  on(node: keyof typeof NODES, ...command: string[]): Promise<string> {
    return run([TOOL, "exec", node, ...command]);
  }

  /** Starts kubectl beside the test. */
  startKubectl(...args: string[]): Process {
    return Process.start([TOOL, "kubectl", ...args]);
  }

  /** Starts what makes a port of a user's machine in the cluster's network reachable here; its first line is the port. */
  static forward(address: string, port: string): Process {
    return Process.start(["python3", FORWARD, `/run/netns/${CLUSTER}-lan`, address, port]);
  }

  /** Pods with a label. */
  async pods(label: string, namespace = "default"): Promise<Pod[]> {
    const { items } = JSON.parse(await this.kubectl("get", "pods", "-n", namespace, "-l", label, "-o", "json"));
    return items.map(({ metadata, spec, status }: Any) => ({
      name: metadata.name,
      uid: metadata.uid,
      ip: status.podIP,
      node: spec.nodeName,
    }));
  }

  /** Starts an agent that watches the interfaces of a node and sends its spans to `collector`; `extra` are more settings. */
  watch(node: keyof typeof NODES, collector: Collector, { name }: Instance, extra = ""): Promise<Agent> {
    return Agent.start({
      watch: { interfaceName: "eth0", patterns: ["veth*"], namespacePath: TwoNodes.namespace(node) },
      otlp: { endpoint: collector.grpcEndpoint, protocol: "grpc" },
      extra,
    }, { instance: name, env: { KUBECONFIG: this.kubeconfig } });
  }

  /** Asks a URL from inside of the pod `client`, each time over a connection of its own. */
  get(url: string, count: number): Promise<string> {
    return this.kubectl("exec", "client", "--", "/program", "get", url, String(count));
  }

  /** Goes on asking, until it is disposed; a question without an answer is given up after so many seconds. */
  ask(url: string, seconds: number, patienceSeconds: number): Process {
    const program = ["/program", "ask", url, String(seconds), String(patienceSeconds)];
    return Process.start([TOOL, "kubectl", "exec", "client", "--", ...program]);
  }

  /** Runs the job of a cron job to its end. */
  async runJob(name: string, cronJob: string): Promise<void> {
    await this.kubectl("create", "job", name, `--from=cronjob/${cronJob}`);
    await until(`job ${name}`, async () => {
      return (await this.kubectl("get", "job", name, "-o", "jsonpath={.status.succeeded}")) === "1";
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.forward[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
    await run([TOOL, "down"]);
  }
}
