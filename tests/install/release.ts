/** The chart, installed into the cluster as a user does it, and what it leaves on the nodes. */

import assert from "node:assert/strict";
import { Namespace } from "../harness/netns.ts";
import { attachedPrograms, livingPrograms } from "../harness/programs.ts";
import { run } from "../harness/process.ts";
import type { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import type { Any } from "../kubernetes/api_server.ts";
import { NODES, TwoNodes } from "../kubernetes/two_nodes.ts";

export type NodeName = keyof typeof NODES;
export const NODE_NAMES = Object.keys(NODES) as NodeName[];
/** What `tools/test-install` has made. */
export const IMAGES = ["dist/mermin-image.tar", "dist/otelcol-image.tar"];
export const CHART = "./charts/mermin";
export const LABEL = "app.kubernetes.io/name=mermin";

/** An agent's pod. */
export interface AgentPod {
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  readonly isReady: boolean;
  readonly restarts: number;
}

/** Pods of agents, also those that are ending, by node. */
export async function agentPods(nodes: TwoNodes): Promise<AgentPod[]> {
  const { items } = JSON.parse(await nodes.kubectl("get", "pods", "-l", LABEL, "-o", "json"));
  const pods: AgentPod[] = items.map(({ metadata, spec, status }: Any) => ({
    name: metadata.name,
    uid: metadata.uid,
    node: spec.nodeName,
    isReady: status.containerStatuses?.every(({ ready }: Any) => ready) ?? false,
    restarts: status.containerStatuses?.[0].restartCount ?? 0,
  }));
  return pods.sort((a, b) => a.node < b.node ? -1 : 1);
}

/** Resolves when every node that should has a Ready pod of the newest kind; `--wait` is content with one fewer. */
export async function rolledOut(nodes: TwoNodes): Promise<AgentPod[]> {
  await nodes.kubectl("rollout", "status", "daemonset/mermin", "--timeout=600s");
  await until("the old pods to end", async () => (await agentPods(nodes)).every(({ isReady }) => isReady));
  return await agentPods(nodes);
}

/** Writes a configuration that differs from the guide's by replacements. @throws {Error} for one that fits nowhere */
export async function configFile(folder: string, replacements: Readonly<Record<string, string>>): Promise<string> {
  let text = await Deno.readTextFile(GUIDE_CONFIG);
  for (const [old, by] of Object.entries(replacements)) {
    assert.ok(text.includes(old), `the guide's configuration has no ${old}`);
    text = text.replaceAll(old, by);
  }
  const path = `${folder}/${crypto.randomUUID()}.hcl`;
  await Deno.writeTextFile(path, text);
  return path;
}
export const GUIDE_CONFIG = "tests/config/guide/config.hcl";

/** Ids of the programs at the hooks of all interfaces of a node. */
export async function programsAt(traffic: Traffic, node: NodeName): Promise<number[]> {
  const namespace = new Namespace(TwoNodes.namespace(node).split("/").at(-1)!);
  const links: { ifname: string }[] = JSON.parse(await run(["ip", "-j", "-n", namespace.name, "link"]));
  const found = await Promise.all(
    links.map(({ ifname }) => attachedPrograms(traffic, { namespace, interfaceName: ifname })),
  );
  return found.flatMap(({ ingress, egress }) => [...ingress, ...egress]);
}

/** `helm uninstall`. @throws {AssertionError} when something of the release is left in the cluster or in a node's kernel */
export async function uninstall(nodes: TwoNodes, traffic: Traffic): Promise<void> {
  const programs = (await Promise.all(NODE_NAMES.map((node) => programsAt(traffic, node)))).flat();
  assert.ok(programs.length >= 2 * NODE_NAMES.length, "there was something to remove");
  await nodes.helm("uninstall", "mermin");
  await until("the pods to end", async () => (await agentPods(nodes)).length === 0);
  assert.equal(await releasedObjects(nodes), "");
  for (const node of NODE_NAMES) {
    assert.deepEqual(await programsAt(traffic, node), [], node);
    assert.deepEqual(await pinsOn(nodes, node), [], node);
  }
  await until("the kernel to free the programs", async () => (await livingPrograms(programs)).length === 0);
}

/** What is pinned on a node, besides what every bpffs has. */
export async function pinsOn(nodes: TwoNodes, node: NodeName): Promise<string[]> {
  const found = await nodes.on(node, "find", "/sys/fs/bpf", "-mindepth", "1", "-not", "-name", "*.debug");
  return found.split("\n").filter((path) => path !== "");
}

/** Asks a health page inside of a pod, as the guide does. */
export function health(nodes: TwoNodes, pod: string, page: string, port = 8080): Promise<string> {
  return nodes.kubectl("exec", pod, "--", "wget", "-q", "-O-", `http://localhost:${port}/${page}`);
}

/** Objects of any kind that Helm has labelled for the release. */
export async function releasedObjects(nodes: TwoNodes): Promise<string> {
  const kinds = "daemonset,pod,job,configmap,serviceaccount,role,rolebinding,clusterrole,clusterrolebinding";
  return await nodes.kubectl("get", kinds, "-l", "app.kubernetes.io/instance=mermin", "-o", "name");
}

/** Gives the image that the nodes have another name, too. */
export async function tagImage(nodes: TwoNodes, name: string): Promise<void> {
  for (const node of NODE_NAMES) {
    const ctr = ["ctr", "-a", "/run/containerd/containerd.sock", "-n", "k8s.io", "images", "tag", "--force"];
    await nodes.on(node, ...ctr, "ghcr.io/elastiflow/mermin:0.1.0", name);
  }
}
